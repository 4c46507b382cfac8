// expect: the handler of fully() must be callable with a kaio::transfer_result
// expect: transfer_result>::but_this_is<
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, kaio::aligned_buffer& buffer) {
#ifdef WRONG
    kaio::owned_operation operation([](kaio::io_result) {});
#else
    kaio::owned_operation operation([](kaio::transfer_result) {});
#endif
    loop.submit(kaio::fully(kaio::read(0, buffer, 0)), operation);
    loop.run();
}
