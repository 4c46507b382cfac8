// What was expected and what was found are in one line.
// expect: a handler must be callable with a kaio::io_result
// expect: io_result>::but_this_is<
#include <kaio/kaio.hpp>

void example(kaio::loop& loop) {
#ifdef WRONG
    loop.submit(kaio::fsync(0), [] {});
#else
    loop.submit(kaio::fsync(0), [](kaio::io_result) {});
#endif
}
