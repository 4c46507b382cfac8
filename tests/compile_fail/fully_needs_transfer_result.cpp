// expect: the handler of fully() must be callable with a kaio::transfer_result
// expect: transfer_result>::but_this_is<
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, kaio::aligned_buffer& buffer) {
#ifdef WRONG
    loop.submit(kaio::fully(kaio::read(0, buffer, 0)), [](kaio::io_result) {});
#else
    loop.submit(kaio::fully(kaio::read(0, buffer, 0)), [](kaio::transfer_result) {});
#endif
}
