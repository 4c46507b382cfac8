// expect: kaio: only a request that owns its buffer
#include <chrono>
#include <utility>

#include <kaio/coro/with_timeout.hpp>
#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

kaio::task<> waits(kaio::loop& loop, const kaio::file& file, kaio::aligned_buffer buffer) {
    auto const late = [](kaio::io_result, kaio::aligned_buffer) {};
#ifdef WRONG
    (void)co_await kaio::with_timeout(loop, loop.submit(kaio::write(file, buffer, 0)), 1s, late);
#else
    (void)co_await kaio::with_timeout(loop, loop.submit(kaio::write(file, std::move(buffer), 0)), 1s, late);
#endif
}
