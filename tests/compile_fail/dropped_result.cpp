// expect: the result says whether it failed
// only: clang
#include <kaio/kaio.hpp>

kaio::task<> example(kaio::loop& loop, kaio::aligned_buffer& buffer) {
#ifdef WRONG
    co_await loop.submit(kaio::write(0, buffer, 0));
#else
    (void)co_await loop.submit(kaio::write(0, buffer, 0));
#endif
    co_await loop.sleep_for(kaio::duration::zero()); // the result of a timer may be dropped
}
