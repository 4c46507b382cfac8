// expect: kaio: this can't be given up
#include <chrono>

#include <kaio/coro/event.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

kaio::task<> work() { co_return; }

kaio::task<> waits(kaio::loop& loop, kaio::event& event) {
#ifdef WRONG
    (void)co_await kaio::with_timeout(loop, work(), 1s);
#else
    (void)co_await kaio::with_timeout(loop, event, 1s);
#endif
}
