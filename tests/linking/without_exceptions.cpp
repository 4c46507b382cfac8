// A part that is built with -fno-exceptions. With SHARED its interface has a type of kaio, otherwise it has none.
#include <fcntl.h>

#include <kaio/kaio.hpp>

namespace {
kaio::task<int> later(kaio::loop& loop, int n) {
    co_await loop.sleep_for(kaio::duration::zero());
    co_return n;
}
} // namespace

int without_exceptions() {
    kaio::loop loop(2);
    kaio::file const file = kaio::file::open("/dev/null", O_RDWR);
    return kaio::sync_wait(loop, later(loop, file ? 7 : 0));
}

#ifdef SHARED
kaio::task<int> shared_task(kaio::loop& loop) { return later(loop, 7); }
#endif
