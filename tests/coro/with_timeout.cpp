#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/coro/channel.hpp>
#include <kaio/coro/completion.hpp>
#include <kaio/coro/event.hpp>
#include <kaio/coro/mutex.hpp>
#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/task_group.hpp>
#include <kaio/coro/waiting_pool.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/coro/yield.hpp>

using namespace std::chrono_literals;

namespace {

struct eventfd_file {
    int fd = ::eventfd(0, EFD_NONBLOCK);
    eventfd_file() = default;
    eventfd_file(const eventfd_file&) = delete;
    eventfd_file& operator=(const eventfd_file&) = delete;
    ~eventfd_file() { ::close(fd); }
};

// Nothing of a wait is left behind.
bool idle(const kaio::loop& loop) { return loop.in_flight() + loop.queued() + loop.timers() == 0; }

} // namespace

TEST_CASE("a poll that is ready in time returns its result, and its timer is gone") {
    kaio::loop loop(4);
    eventfd_file ready;
    auto const work = [](kaio::loop& l, int fd) -> kaio::task<bool> {
        std::optional<kaio::io_result> const r = co_await kaio::with_timeout(l, l.submit(kaio::poll(fd, POLLIN)), 1h);
        co_return r && *r && (r->value() & POLLIN) != 0 && idle(l);
    };
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { CHECK(::eventfd_write(ready.fd, 1) == 0); });
    CHECK(kaio::sync_wait(loop, work(loop, ready.fd)));
}

TEST_CASE("a poll that is not ready in time is cancelled, and not in flight afterwards") {
    kaio::loop loop(4);
    eventfd_file never;
    auto const work = [](kaio::loop& l, int fd) -> kaio::task<bool> {
        auto const begun = std::chrono::steady_clock::now();
        std::optional<kaio::io_result> const r = co_await kaio::with_timeout(l, l.submit(kaio::poll(fd, POLLIN)), 5ms);
        co_return !r && idle(l) && std::chrono::steady_clock::now() - begun >= 5ms;
    };
    CHECK(kaio::sync_wait(loop, work(loop, never.fd)));
}

TEST_CASE("a timer and a limit: the shorter one counts") {
    kaio::loop loop(4);
    auto const work = [](kaio::loop& l) -> kaio::task<bool> {
        std::optional<kaio::io_result> const in_time = co_await kaio::with_timeout(l, l.sleep_for(1ms), 1h);
        std::optional<kaio::io_result> const late = co_await kaio::with_timeout(l, l.sleep_for(1h), 1ms);
        co_return in_time && *in_time && !late && idle(l);
    };
    CHECK(kaio::sync_wait(loop, work(loop)));
}

TEST_CASE("who gives up leaves the queue, and what comes afterwards is for others") {
    kaio::loop loop(4);
    auto const work = [](kaio::loop& l) -> kaio::task<int> {
        kaio::event event;
        kaio::semaphore semaphore(0);
        kaio::mutex mutex;
        kaio::channel<int> channel(1);
        kaio::completion<int> completion;
        kaio::waiting_pool pool(kaio::buffer_pool(1, 512));
        kaio::task_group group(l);
        kaio::mutex_guard const locked = mutex.try_lock();
        kaio::waiting_pool::buffer only = pool.try_acquire();
        int wrong = 0;
        bool const set = co_await kaio::with_timeout(l, event, 1ms);
        event.set();
        wrong += set;
        bool const acquired = co_await kaio::with_timeout(l, semaphore.acquire(), 1ms);
        semaphore.release();
        wrong += acquired || semaphore.available() != 1;
        std::optional<kaio::mutex_guard> const guard = co_await kaio::with_timeout(l, mutex.lock(), 1ms);
        wrong += guard.has_value();
        std::optional<std::optional<int>> const received = co_await kaio::with_timeout(l, channel.receive(), 1ms);
        bool const kept = channel.try_send(1);
        wrong += received || !kept || channel.size() != 1;
        std::optional<bool> const sent = co_await kaio::with_timeout(l, channel.send(2), 1ms);
        wrong += sent || channel.try_receive() != 1 || channel.size() != 0;
        std::optional<int> const completed = co_await kaio::with_timeout(l, completion, 1ms);
        completion.complete(7);
        int const later = co_await completion;
        wrong += completed || later != 7;
        std::optional<kaio::waiting_pool::buffer> const buffer = co_await kaio::with_timeout(l, pool.acquire(), 1ms);
        only.reset();
        wrong += buffer || pool.available() != 1;
        group.spawn([](kaio::loop& on) -> kaio::task<> { co_await on.sleep_for(5ms); }(l));
        bool const finished = co_await kaio::with_timeout(l, group.wait(), 1ms);
        wrong += finished || group.size() != 1;
        co_await group.wait();
        wrong += !idle(l);
        co_return wrong;
    };
    CHECK(kaio::sync_wait(loop, work(loop)) == 0);
}

TEST_CASE("what comes in time is returned, whether it was waited for or not") {
    for (bool const at_once : {true, false}) {
        kaio::loop loop(4);
        kaio::event event;
        kaio::semaphore semaphore(0);
        kaio::mutex mutex;
        kaio::channel<std::unique_ptr<int>> channel(1);
        kaio::completion<int> completion;
        kaio::mutex_guard locked = mutex.try_lock();
        auto const provide = [&] {
            event.set();
            semaphore.release();
            locked.unlock();
            CHECK(channel.try_send(std::make_unique<int>(5)));
            completion.complete(7);
        };
        auto const work = [&]() -> kaio::task<int> {
            bool const set = co_await kaio::with_timeout(loop, event, 1h);
            bool const acquired = co_await kaio::with_timeout(loop, semaphore.acquire(), 1h);
            std::optional<kaio::mutex_guard> const guard = co_await kaio::with_timeout(loop, mutex.lock(), 1h);
            std::optional<std::optional<std::unique_ptr<int>>> const received =
                co_await kaio::with_timeout(loop, channel.receive(), 1h);
            std::optional<int> const completed = co_await kaio::with_timeout(loop, completion, 1h);
            co_return set + acquired + (guard && *guard && mutex.is_locked()) +
                (received && *received ? ***received : 0) + completed.value_or(0) + idle(loop);
        };
        if (at_once)
            provide();
        else
            loop.submit(kaio::after(1ms), [&](kaio::io_result) { provide(); });
        CHECK(kaio::sync_wait(loop, work()) == 3 + 5 + 7 + 1);
    }
}

TEST_CASE("a disk request that the kernel has is waited for, and its result is returned") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    auto const work = [](kaio::loop& l, const test::temporary_file& f) -> kaio::task<bool> {
        std::array<char, 64> buffer{};
        std::optional<kaio::io_result> const r =
            co_await kaio::with_timeout(l, l.submit(kaio::read(f, buffer, 0)), kaio::duration::zero());
        co_return r && r->bytes() == 64 && idle(l);
    };
    CHECK(kaio::sync_wait(loop, work(loop, file)));
}

TEST_CASE("a request that is still queued when the time has passed is given up") {
    test::temporary_file file(4096);
    eventfd_file ready;
    kaio::loop loop(1);
    kaio::owned_operation first([](kaio::io_result) {});
    loop.submit(kaio::poll(ready.fd, POLLIN), first); // takes the loop's only place
    auto const work = [](kaio::loop& l, const test::temporary_file& f) -> kaio::task<bool> {
        std::array<char, 64> buffer{};
        std::optional<kaio::io_result> const r =
            co_await kaio::with_timeout(l, l.submit(kaio::read(f, buffer, 0)), 1ms);
        co_return !r && l.queued() == 0;
    };
    CHECK(kaio::sync_wait(loop, work(loop, file)));
    CHECK(loop.cancel(first));
    loop.run();
}

TEST_CASE("destroying the loop ends the waits") {
    int ended = 0;
    kaio::event never;
    eventfd_file silent;
    auto const wait_for_event = [](kaio::loop& l, kaio::event& e, int& count) -> kaio::task<> {
        bool const set = co_await kaio::with_timeout(l, e, 1h);
        count += !set;
    };
    auto const wait_for_poll = [](kaio::loop& l, int fd, int& count) -> kaio::task<> {
        std::optional<kaio::io_result> const r = co_await kaio::with_timeout(l, l.submit(kaio::poll(fd, POLLIN)), 1h);
        count += r && r->res() == -ECANCELED;
    };
    {
        kaio::loop loop(4);
        kaio::spawn(loop, wait_for_event(loop, never, ended));
        kaio::spawn(loop, wait_for_poll(loop, silent.fd, ended));
        loop.poll();
        CHECK(ended == 0);
    }
    CHECK(ended == 2);
}

TEST_CASE("a hundred thousand waits that end either way do not grow the stack") {
    kaio::loop loop(4);
    kaio::semaphore semaphore(0);
    int acquired = 0, given_up = 0;
    auto const consumer = [&]() -> kaio::task<> {
        for (int i = 0; i < 100'000; ++i) {
            bool const got = co_await kaio::with_timeout(loop, semaphore.acquire(), i % 2 == 0 ? 0ms : 1000ms);
            ++(got ? acquired : given_up);
            if (i % 2 == 0) semaphore.release();
        }
    };
    kaio::sync_wait(loop, consumer());
    CHECK(acquired + given_up == 100'000);
    CHECK(acquired > 0);
    CHECK(given_up > 0);
}

TEST_CASE("permits are neither lost nor made, however waits end") {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        kaio::loop loop(4);
        std::size_t const permits = random() % 3;
        kaio::semaphore semaphore(permits);
        std::size_t released = 0, acquired = 0, ended = 0;
        auto const consumer = [&](std::chrono::microseconds limit) -> kaio::task<> {
            bool const got = co_await kaio::with_timeout(loop, semaphore.acquire(), limit);
            acquired += got;
            ++ended;
        };
        auto const program = [&]() -> kaio::task<> {
            kaio::task_group group(loop);
            for (int i = 0; i < 200; ++i) {
                if (random() % 2 == 0) {
                    group.spawn(consumer(std::chrono::microseconds(random() % 300)));
                } else if (random() % 2 == 0) {
                    std::size_t const count = random() % 3;
                    released += count;
                    semaphore.release(count);
                } else {
                    co_await kaio::yield(loop);
                }
            }
            std::size_t const spawned = group.size() + ended;
            co_await group.wait();
            CHECK(ended == spawned);
        };
        kaio::sync_wait(loop, program());
        CHECK(acquired + semaphore.available() == permits + released);
        CHECK(idle(loop));
    }
}

TEST_CASE("destroying a frame while it waits ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::loop loop(4);
              kaio::event event;
              auto const work = [](kaio::loop& l, kaio::event& e) -> test::owned_coroutine {
                  (void)co_await kaio::with_timeout(l, e, 1h);
              };
              test::owned_coroutine waiting = work(loop, event);
              waiting.reset();
              return 0;
          }) == 1000 + SIGABRT);
}
