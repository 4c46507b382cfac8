// expect: read() needs a buffer with data() and size()
#include <kaio/io/request.hpp>

#ifdef WRONG
kaio::request example(int buffer) { return kaio::read(0, buffer, 0); }
#else
kaio::request example(int (&buffer)[1]) { return kaio::read(0, buffer, 0); }
#endif
