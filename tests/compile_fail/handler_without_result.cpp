// expect: a handler must be callable with a kaio::io_result
#include <kaio/kaio.hpp>

void example(kaio::loop& loop) {
#ifdef WRONG
    loop.submit(kaio::fsync(0), [] {});
#else
    loop.submit(kaio::fsync(0), [](kaio::io_result) {});
#endif
}
