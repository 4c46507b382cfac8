// expect: kaio: a fully() that borrows its buffer can't be given up
#include <chrono>
#include <utility>

#include <kaio/coro/with_timeout.hpp>
#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

kaio::task<> waits(kaio::loop& loop, const kaio::file& file, kaio::aligned_buffer buffer) {
#ifdef WRONG
    (void)co_await kaio::with_timeout(loop, loop.submit(kaio::fully(kaio::read(file, buffer, 0))), 1s);
#else
    (void)co_await kaio::with_timeout(loop, loop.submit(kaio::fully(kaio::read(file, std::move(buffer), 0))), 1s);
#endif
}
