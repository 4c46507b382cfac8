#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <version>

#if defined(__cpp_lib_jthread)

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kaio/coro/event.hpp>
#include <kaio/coro/mutex.hpp>
#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/with_stop_token.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/coro/yield.hpp>

using namespace std::chrono_literals;

namespace {

bool idle(const kaio::loop& loop) { return loop.in_flight() + loop.queued() + loop.timers() == 0; }

kaio::task<bool> poll_until_stopped(kaio::loop& loop, int fd, std::stop_token token) {
    std::optional<kaio::io_result> const r =
        co_await kaio::with_stop_token(loop, loop.submit(kaio::poll(fd, POLLIN)), token);
    co_return !r && idle(loop);
}

} // namespace

TEST_CASE("a stop of the loop's own thread ends polls, timers and waits, and nothing is left behind") {
    kaio::loop loop(4);
    std::stop_source source;
    int const silent = ::eventfd(0, EFD_NONBLOCK);
    kaio::event event;
    kaio::mutex mutex;
    kaio::mutex_guard const locked = mutex.try_lock();
    auto const others = [&]() -> kaio::task<bool> {
        auto const [timer, set] = co_await kaio::when_all(
            [](kaio::loop& l, std::stop_token t) -> kaio::task<bool> {
                std::optional<kaio::io_result> const r = co_await kaio::with_stop_token(l, l.sleep_for(1h), t);
                co_return r.has_value();
            }(loop, source.get_token()),
            [](kaio::loop& l, kaio::event& e, std::stop_token t) -> kaio::task<bool> {
                bool const is_set = co_await kaio::with_stop_token(l, e, t);
                co_return is_set;
            }(loop, event, source.get_token()));
        std::optional<kaio::mutex_guard> const guard =
            co_await kaio::with_stop_token(loop, mutex.lock(), source.get_token());
        co_return !timer && !set && !guard;
    };
    loop.submit(kaio::after(2ms), [&](kaio::io_result) { source.request_stop(); });
    auto const [a, b] =
        kaio::sync_wait(loop, kaio::when_all(poll_until_stopped(loop, silent, source.get_token()), others()));
    CHECK((a && b));
    CHECK(idle(loop));
    ::close(silent);
}

TEST_CASE("what comes before the stop is returned, and a stop that comes later does nothing") {
    kaio::loop loop(4);
    std::stop_source source;
    kaio::semaphore semaphore(0);
    auto const work = [](kaio::loop& l, kaio::semaphore& s, std::stop_token t) -> kaio::task<int> {
        std::optional<kaio::io_result> const slept = co_await kaio::with_stop_token(l, l.sleep_for(1ms), t);
        bool const acquired = co_await kaio::with_stop_token(l, s.acquire(), t);
        co_return (slept && *slept) + acquired;
    };
    loop.submit(kaio::after(3ms), [&](kaio::io_result) { semaphore.release(); });
    CHECK(kaio::sync_wait(loop, work(loop, semaphore, source.get_token())) == 2);
    source.request_stop();
    CHECK(loop.poll() == 0);
}

TEST_CASE("after a stop nothing is waited for, but what is there without waiting is taken") {
    kaio::loop loop(4);
    std::stop_source source;
    source.request_stop();
    kaio::semaphore semaphore(1);
    int const silent = ::eventfd(0, EFD_NONBLOCK);
    CHECK(kaio::sync_wait(loop, poll_until_stopped(loop, silent, source.get_token())));
    auto const acquire = [](kaio::loop& l, kaio::semaphore& s, std::stop_token t) -> kaio::task<bool> {
        bool const acquired = co_await kaio::with_stop_token(l, s.acquire(), t);
        co_return acquired;
    };
    CHECK(kaio::sync_wait(loop, acquire(loop, semaphore, source.get_token())));
    CHECK_FALSE(kaio::sync_wait(loop, acquire(loop, semaphore, source.get_token())));
    semaphore.release();
    CHECK(semaphore.available() == 1);
    auto const sleep = [](kaio::loop& l, std::stop_token t) -> test::owned_coroutine {
        (void)co_await kaio::with_stop_token(l, l.sleep_for(1h), t);
    };
    CHECK(sleep(loop, source.get_token()).finished()); // at once
    ::close(silent);
}

TEST_CASE("a request that a stop has kept from being submitted is no mistake, and no debug build says so") {
    CHECK(test::in_child([] {
              int const said = ::memfd_create("stderr", 0);
              ::dup2(said, STDERR_FILENO);
              kaio::loop loop(4);
              std::stop_source source;
              source.request_stop();
              auto const work = [](kaio::loop& l, std::stop_token t) -> kaio::task<> {
                  (void)co_await kaio::with_stop_token(l, l.submit(kaio::poll(0, POLLIN)), t);
                  (void)co_await kaio::with_stop_token(l, kaio::with_timeout(l, l.sleep_for(1h), 1h), t);
                  (void)co_await kaio::with_stop_token(l, l.submit(kaio::read(0, std::vector<char>(8), 0)), t);
              };
              kaio::sync_wait(loop, work(loop, source.get_token()));
              return static_cast<int>(::lseek(said, 0, SEEK_END));
          }) == 0);
}

TEST_CASE("a token that can never be stopped changes nothing") {
    kaio::loop loop(4);
    auto const work = [](kaio::loop& l) -> kaio::task<bool> {
        std::optional<kaio::io_result> const r = co_await kaio::with_stop_token(l, l.sleep_for(1ms), std::stop_token());
        co_return r && *r;
    };
    CHECK(kaio::sync_wait(loop, work(loop)));
}

TEST_CASE("another thread's stop ends a poll") {
    kaio::loop loop(4);
    std::stop_source source;
    int const silent = ::eventfd(0, EFD_NONBLOCK);
    std::thread other([&] {
        std::this_thread::sleep_for(2ms);
        source.request_stop();
    });
    CHECK(kaio::sync_wait(loop, poll_until_stopped(loop, silent, source.get_token())));
    other.join();
    ::close(silent);
}

TEST_CASE("a stop and a time limit can be had at once, and the result says which it was") {
    kaio::loop loop(4);
    kaio::event event;
    auto const work = [](kaio::loop& l, kaio::event& e, std::stop_token t) -> kaio::task<int> {
        std::optional<bool> const late = co_await kaio::with_timeout(l, kaio::with_stop_token(l, e, t), 1ms);
        std::optional<bool> const stopped = co_await kaio::with_timeout(l, kaio::with_stop_token(l, e, t), 1h);
        std::optional<kaio::io_result> const poll = co_await kaio::with_stop_token(l, l.sleep_for(1h), t);
        e.set();
        std::optional<bool> const set = co_await kaio::with_timeout(l, kaio::with_stop_token(l, e, t), 1h);
        co_return 1000 * !late + 100 * (stopped && !*stopped) + 10 * !poll + (set && *set);
    };
    std::stop_source source;
    loop.submit(kaio::after(5ms), [&](kaio::io_result) { source.request_stop(); });
    CHECK(kaio::sync_wait(loop, work(loop, event, source.get_token())) == 1111);
    CHECK(idle(loop));
}

TEST_CASE("a poll inside both wrappers is given up by whichever comes first") {
    kaio::loop loop(4);
    int const silent = ::eventfd(0, EFD_NONBLOCK);
    auto const work = [](kaio::loop& l, int fd, std::stop_token t) -> kaio::task<int> {
        auto const late =
            co_await kaio::with_timeout(l, kaio::with_stop_token(l, l.submit(kaio::poll(fd, POLLIN)), t), 1ms);
        auto const stopped =
            co_await kaio::with_timeout(l, kaio::with_stop_token(l, l.submit(kaio::poll(fd, POLLIN)), t), 1h);
        auto const outside =
            co_await kaio::with_stop_token(l, kaio::with_timeout(l, l.submit(kaio::poll(fd, POLLIN)), 1h), t);
        co_return 100 * !late + 10 * (stopped && !*stopped) + !outside;
    };
    std::stop_source source;
    loop.submit(kaio::after(5ms), [&](kaio::io_result) { source.request_stop(); });
    CHECK(kaio::sync_wait(loop, work(loop, silent, source.get_token())) == 111);
    CHECK(idle(loop));
    ::close(silent);
}

TEST_CASE("a wait that was given up while a stop is on its way takes nothing") {
    kaio::loop loop(4);
    std::stop_source source;
    kaio::semaphore semaphore(0);
    std::optional<bool> result = true;
    auto const work = [](kaio::loop& l, kaio::semaphore& s, std::stop_token t,
                         std::optional<bool>& out) -> kaio::task<> {
        out = co_await kaio::with_timeout(l, kaio::with_stop_token(l, s.acquire(), t), 1ms);
    };
    // All three timers are due in one turn of the loop, and the stop that the first posts comes after them.
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { source.request_stop(); });
    kaio::spawn(loop, work(loop, semaphore, source.get_token(), result));
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { semaphore.release(); });
    std::this_thread::sleep_for(5ms);
    loop.run();
    CHECK_FALSE(result);
    CHECK(semaphore.available() == 1);
}

TEST_CASE("what arrives while a stop is on its way is returned when the stop has come") {
    kaio::loop loop(4);
    std::stop_source source;
    kaio::semaphore semaphore(0);
    bool finished = false, acquired = false;
    auto const work = [&]() -> kaio::task<> {
        acquired = co_await kaio::with_stop_token(loop, semaphore.acquire(), source.get_token());
        finished = true;
    };
    kaio::spawn(loop, work());
    loop.submit(kaio::after(kaio::duration::zero()), [&](kaio::io_result) {
        source.request_stop();
        semaphore.release();
        CHECK_FALSE(finished); // the stop would come to a frame that is gone
    });
    loop.run();
    CHECK(finished);
    CHECK(acquired);
}

TEST_CASE("stops of another thread and what is waited for come at any time, and every wait ends once") {
    kaio::loop loop(4);
    kaio::semaphore semaphore(0);
    int acquired = 0, stopped = 0;
    constexpr int rounds = 2000;
    std::array<std::stop_source, rounds> sources;
    std::atomic<int> next{0};
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            while (next.load() < i) std::this_thread::yield();
            sources[static_cast<std::size_t>(i)].request_stop();
        }
    });
    auto const work = [&]() -> kaio::task<> {
        for (int i = 0; i < rounds; ++i) {
            if (i % 3 == 0)
                loop.submit(kaio::after(kaio::duration::zero()), [&](kaio::io_result) { semaphore.release(); });
            next.store(i);
            bool const got = co_await kaio::with_stop_token(loop, semaphore.acquire(),
                                                            sources[static_cast<std::size_t>(i)].get_token());
            ++(got ? acquired : stopped);
        }
        co_await kaio::yield(loop);
    };
    kaio::sync_wait(loop, work());
    other.join();
    CHECK(acquired + stopped == rounds);
    CHECK(stopped > 0);
    CHECK(static_cast<std::size_t>(acquired) + semaphore.available() == (rounds + 2) / 3);
}

TEST_CASE("destroying a loop whose coroutines wait with tokens ends polls") {
    std::stop_source source;
    int const silent = ::eventfd(0, EFD_NONBLOCK);
    bool cancelled = false;
    auto const work = [](kaio::loop& l, int fd, std::stop_token t, bool& out) -> kaio::task<> {
        auto const r = co_await kaio::with_stop_token(l, l.submit(kaio::poll(fd, POLLIN)), t);
        out = r && r->res() == -ECANCELED;
    };
    {
        kaio::loop loop(4);
        kaio::spawn(loop, work(loop, silent, source.get_token(), cancelled));
        loop.poll();
    }
    CHECK(cancelled);
    source.request_stop();
    ::close(silent);
}

#else

TEST_CASE("with_stop_token") { SKIP_TEST("this C++ library has no <stop_token>"); }

#endif
