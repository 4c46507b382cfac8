// expect: nothing is submitted until it is awaited
#include <kaio/kaio.hpp>

kaio::task<> example(kaio::loop& loop) {
#ifdef WRONG
    loop.submit(kaio::fsync(0));
#else
    (void)co_await loop.submit(kaio::fsync(0));
#endif
    co_return;
}
