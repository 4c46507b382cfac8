// expect: file_offset
#include <kaio/io/request.hpp>

kaio::request example(char (&buffer)[16], std::uint64_t block) {
#ifdef WRONG
    return kaio::read(0, buffer, 0.5 * static_cast<double>(block));
#else
    return kaio::read(0, buffer, block / 2);
#endif
}
