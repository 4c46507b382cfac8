// expect: a handler must be callable with a kaio::io_result
// expect: io_result>::but_this_is<
#include <kaio/kaio.hpp>

void example(kaio::loop& loop) {
#ifdef WRONG
    loop.submit(kaio::after(kaio::duration::zero()), [] {});
#else
    loop.submit(kaio::after(kaio::duration::zero()), [](kaio::io_result) {});
#endif
}
