// expect: the handler of an operation for fully() must not take a kaio::io_result too
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, kaio::aligned_buffer& buffer) {
#ifdef WRONG
    kaio::owned_operation operation([](auto) {});
#else
    kaio::owned_operation operation([](kaio::transfer_result) {});
#endif
    loop.submit(kaio::fully(kaio::read(0, buffer, 0)), operation);
    loop.run();
}
