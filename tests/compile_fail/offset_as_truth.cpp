// expect: file_offset
#include <kaio/io/request.hpp>

kaio::request example(char (&buffer)[16], bool second) {
#ifdef WRONG
    return kaio::read(0, buffer, second);
#else
    return kaio::read(0, buffer, second ? 1 : 0);
#endif
}
