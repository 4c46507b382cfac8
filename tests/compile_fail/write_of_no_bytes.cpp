// expect: the elements of its buffer must be trivially copyable
#include <kaio/io/request.hpp>

#include <string>
#include <vector>

#ifdef WRONG
kaio::request example(std::vector<std::string>& buffer) { return kaio::write(0, buffer, 0); }
#else
kaio::request example(std::vector<char>& buffer) { return kaio::write(0, buffer, 0); }
#endif
