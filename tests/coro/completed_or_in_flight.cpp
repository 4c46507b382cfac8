// Requests that own their buffers, and whose waits are given up.
#include "coro/coroutines.hpp"
#include "sim/worlds.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <kaio/coro/completed_or_in_flight.hpp>
#include <kaio/coro/task_group.hpp>
#include <kaio/coro/waiting_pool.hpp>
#include <kaio/coro/with_stop_token.hpp>
#include <kaio/coro/with_timeout.hpp>

using namespace std::chrono_literals;
using test::simulated_loop;

namespace {

// Counts those that are alive. Its bytes are on the heap, so AddressSanitizer sees one that is freed too early.
struct counted_buffer {
    static inline int alive = 0;

    explicit counted_buffer(std::size_t size, char fill = '?') : bytes(std::make_unique<std::string>(size, fill)) {
        ++alive;
    }
    counted_buffer(counted_buffer&& other) noexcept : bytes(std::move(other.bytes)) { ++alive; }
    counted_buffer(const counted_buffer&) = delete;
    counted_buffer& operator=(const counted_buffer&) = delete;
    ~counted_buffer() { --alive; }

    char* data() const { return bytes ? bytes->data() : nullptr; }
    std::size_t size() const { return bytes ? bytes->size() : 0; }

    std::unique_ptr<std::string> bytes;
};

// Fills the first 4096 bytes.
void fill(simulated_loop& loop, const kaio::sim::file& file) {
    std::size_t written = 0;
    loop.submit(kaio::fully(kaio::write(file, test::bytes(4096, 'w'), 0)),
                [&](kaio::transfer_result r) { written = r.bytes(); });
    loop.run();
    REQUIRE(written == 4096);
}

// A disk that takes ten milliseconds for everything. Of this seed, no request completes inside io_submit before that.
constexpr kaio::sim::options slow{.least_latency = 10'000'000, .most_latency = 10'000'000};
struct slow_disk {
    kaio::sim::world world{2, slow};
    kaio::sim::file file = world.open("file");

    slow_disk() {
        simulated_loop loop(4, {}, world);
        fill(loop, file);
    }
};

template <class Loop> bool idle(const Loop& loop) { return loop.in_flight() + loop.queued() + loop.timers() == 0; }

template <class Loop, class File> auto read_of(Loop& loop, const File& file, std::size_t size = 64) {
    return loop.submit(kaio::read(file, counted_buffer(size), 0));
}

} // namespace

TEST_CASE("the deadline ends the wait, and the request goes on with its buffer, which is freed when it has completed") {
    slow_disk disk;
    simulated_loop loop(4, {}, disk.world);
    auto const work = [&]() -> kaio::task<std::int64_t> {
        std::int64_t const begun = disk.world.now();
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1ms);
        static_assert(
            std::is_same_v<decltype(read), const kaio::completed_or_in_flight<kaio::io_result, counted_buffer>>);
        CHECK(read.in_flight());
        CHECK(loop.in_flight() == 1);
        CHECK(loop.timers() == 0);
        CHECK(counted_buffer::alive == 1);
        co_return disk.world.now() - begun;
    };
    std::int64_t const waited = kaio::sync_wait(loop, work());
    CHECK(waited >= 1'000'000);
    CHECK(waited < 5'000'000);
    CHECK(counted_buffer::alive == 1);
    CHECK(loop.run() == 1);
    CHECK(counted_buffer::alive == 0);
    CHECK(idle(loop));
}

TEST_CASE("what completes in time is returned with its buffer, and nothing is left behind") {
    slow_disk disk;
    simulated_loop loop(4, {}, disk.world);
    auto const never = [](kaio::io_result, counted_buffer) { FAIL("nothing is late"); };
    auto const work = [&]() -> kaio::task<> {
        auto read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1h, never);
        CHECK(!read.in_flight());
        CHECK(read.result().bytes() == 64);
        CHECK(*read.buffer().bytes == std::string(64, 'w'));
        CHECK(idle(loop));
        counted_buffer const kept = std::move(read).buffer();
        CHECK(kept.size() == 64);
        auto const written =
            co_await kaio::with_timeout(loop, loop.submit(kaio::write(disk.file, counted_buffer(64, 'n'), 0)), 1h);
        CHECK(written.result().bytes() == 64);
        CHECK(written.buffer().size() == 64);
    };
    kaio::sync_wait(loop, work());
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("what completes late is handed to the handler for that, once, with its buffer") {
    slow_disk disk;
    simulated_loop loop(4, {}, disk.world);
    int late = 0;
    auto const work = [&]() -> kaio::task<> {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1ms,
                                                      [&](kaio::io_result r, counted_buffer buffer) {
                                                          ++late;
                                                          CHECK(r.bytes() == 64);
                                                          CHECK(*buffer.bytes == std::string(64, 'w'));
                                                      });
        CHECK(read.in_flight());
        CHECK(late == 0);
    };
    kaio::sync_wait(loop, work());
    loop.run();
    CHECK(late == 1);
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("a handler for what completes late may submit again and throw, and the loop goes on") {
    slow_disk disk;
    simulated_loop loop(4, {}, disk.world);
    int again = 0;
    auto const late = [&](kaio::io_result, counted_buffer buffer) {
        loop.submit(kaio::read(disk.file, std::move(buffer), 0), [&](kaio::io_result r) { again += r.bytes() == 64; });
        throw std::runtime_error("late");
    };
    auto const work = [&]() -> kaio::task<> {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1ms, late);
        CHECK(read.in_flight());
    };
    kaio::sync_wait(loop, work());
    CHECK_THROWS_WITH(loop.run(), "late");
    CHECK(counted_buffer::alive == 1);
    loop.run();
    CHECK(again == 1);
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("a request that is still queued at the deadline is not given to the kernel, and its buffer comes back") {
    slow_disk disk;
    simulated_loop loop(1, {}, disk.world);
    kaio::sim::event const silent = disk.world.make_event();
    kaio::owned_operation first([](kaio::io_result) {});
    loop.submit(kaio::poll(silent, POLLIN), first); // takes the loop's only place
    loop.flush();
    auto const never = [](kaio::io_result, counted_buffer) { FAIL("nothing is late"); };
    auto const work = [&]() -> kaio::task<> {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1ms, never);
        CHECK(!read.in_flight());
        CHECK(read.result().res() == -ECANCELED);
        CHECK(*read.buffer().bytes == std::string(64, '?'));
        CHECK(loop.queued() == 0);
    };
    std::uint64_t const before = disk.world.submitted();
    kaio::sync_wait(loop, work());
    CHECK(disk.world.submitted() == before);
    CHECK(loop.cancel(first));
    loop.run();
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("a completion and a deadline in the same turn: the result counts, once") {
    test::temporary_file const file(4096); // in memory, so that a read is complete when it is submitted
    kaio::loop loop(4);
    auto const never = [](kaio::io_result, counted_buffer) { FAIL("nothing is late"); };
    auto const work = [&]() -> kaio::task<> {
        for (int i = 0; i < 100; ++i) {
            auto const read = co_await kaio::with_timeout(loop, read_of(loop, file), kaio::duration::zero(), never);
            CHECK(!read.in_flight());
            CHECK(read.result().bytes() == 64);
        }
    };
    kaio::sync_wait(loop, work());
    CHECK(idle(loop));
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("an error is the result, and the buffer comes back with it") {
    kaio::loop loop(4);
    auto const work = [&]() -> kaio::task<> {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, -1), 1h);
        CHECK(read.result().res() == -EBADF);
        CHECK(read.buffer().size() == 64);
    };
    kaio::sync_wait(loop, work());
    CHECK(idle(loop));
}

TEST_CASE("fully: the transfer goes on to its end after the deadline, and comes back whole in time") {
    kaio::sim::world world(3, {.least_latency = 1'000'000, .most_latency = 1'000'000, .short_transfers = 0.9});
    kaio::sim::file const file = world.open("file");
    simulated_loop loop(4, {}, world);
    int late = 0;
    auto const work = [&]() -> kaio::task<> {
        auto const written =
            co_await kaio::with_timeout(loop, loop.submit(kaio::fully(kaio::write(file, counted_buffer(4096, 'f'), 0))),
                                        100us, [&](kaio::transfer_result r, counted_buffer buffer) {
                                            ++late;
                                            CHECK(r);
                                            CHECK(r.bytes() == 4096);
                                            CHECK(buffer.size() == 4096);
                                        });
        static_assert(std::is_same_v<decltype(written),
                                     const kaio::completed_or_in_flight<kaio::transfer_result, counted_buffer>>);
        CHECK(written.in_flight());
        CHECK(late == 0);
        co_await loop.sleep_for(1s);
        CHECK(late == 1);
        CHECK(counted_buffer::alive == 0);
    };
    kaio::sync_wait(loop, work());
    auto const read_back = [&]() -> kaio::task<> {
        auto const read =
            co_await kaio::with_timeout(loop, loop.submit(kaio::fully(kaio::read(file, counted_buffer(4096), 0))), 1h);
        CHECK(read.result().bytes() == 4096);
        CHECK(*read.buffer().bytes == std::string(4096, 'f'));
    };
    kaio::sync_wait(loop, read_back());
    CHECK(idle(loop));
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("fully: a part that is queued at the deadline is the last, and the result says how far it came") {
    kaio::sim::world world(3, {.least_latency = 1'000'000, .most_latency = 1'000'000, .short_transfers = 1});
    kaio::sim::file const file = world.open("file");
    simulated_loop loop(1, {}, world);
    kaio::sim::event const silent = world.make_event();
    kaio::owned_operation other([](kaio::io_result) {});
    auto const work = [&]() -> kaio::task<> {
        auto const written = co_await kaio::with_timeout(
            loop, loop.submit(kaio::fully(kaio::write(file, counted_buffer(4096, 'f'), 0))), 20ms);
        REQUIRE(!written.in_flight());
        CHECK(written.result().error() == std::errc::operation_canceled);
        CHECK(written.result().bytes() > 0);
        CHECK(written.result().bytes() < 4096);
        CHECK(written.buffer().size() == 4096);
    };
    kaio::spawn(loop, work());
    loop.flush();
    loop.submit(kaio::poll(silent, POLLIN), other); // gets the place after the first part
    loop.submit(kaio::after(1s), [&](kaio::io_result) { CHECK(loop.cancel(other)); });
    loop.run();
    CHECK(idle(loop));
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("a buffer whose bytes move with it, and one that is too large for the slab, are right either way") {
    for (kaio::duration const limit : {kaio::duration(1ms), kaio::duration(1h)}) {
        slow_disk disk;
        simulated_loop loop(4, {}, disk.world);
        int right = 0;
        auto const look = [&](kaio::io_result r, const auto& buffer) {
            right += r.bytes() == buffer.size() && buffer[0] == 'w' && buffer[buffer.size() - 1] == 'w';
        };
        auto const work = [&](auto buffer) -> kaio::task<> {
            auto const read = co_await kaio::with_timeout(
                loop, loop.submit(kaio::read(disk.file, std::move(buffer), 0)), limit, look);
            if (!read.in_flight()) look(read.result(), read.buffer());
        };
        kaio::sync_wait(loop, work(std::array<char, 16>{}));
        kaio::sync_wait(loop, work(std::array<char, 4096>{}));
        kaio::sync_wait(loop, work(std::string(5, '?')));
        loop.run();
        CHECK(right == 3);
    }
}

TEST_CASE("a pool's buffer goes back to its pool when the request has completed, and to who waits for it there") {
    slow_disk disk;
    kaio::waiting_pool pool(kaio::buffer_pool(1, 512));
    simulated_loop loop(4, {}, disk.world);
    bool had = false;
    auto const first = [&]() -> kaio::task<> {
        kaio::waiting_pool::buffer buffer = co_await pool.acquire();
        auto const read =
            co_await kaio::with_timeout(loop, loop.submit(kaio::read(disk.file, std::move(buffer), 0)), 1ms);
        CHECK(read.in_flight());
        CHECK(pool.available() == 0);
        kaio::waiting_pool::buffer const next = co_await pool.acquire();
        CHECK(loop.in_flight() == 0);
        had = true;
    };
    kaio::sync_wait(loop, first());
    CHECK(had);
    CHECK(pool.available() == 1);
}

TEST_CASE("destroying the loop ends the wait, and waits for the request, whose buffer is freed then") {
    slow_disk disk;
    bool ended = false;
    int late = 0;
    auto const work = [&](simulated_loop& loop) -> kaio::task<> {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1h,
                                                      [&](kaio::io_result r, counted_buffer buffer) {
                                                          ++late;
                                                          CHECK(r.bytes() == 64);
                                                          CHECK(*buffer.bytes == std::string(64, 'w'));
                                                      });
        CHECK(read.in_flight());
        ended = true;
    };
    auto const queued = [&](simulated_loop& loop) -> kaio::task<> {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1h);
        CHECK(read.result().res() == -ECANCELED);
    };
    {
        simulated_loop loop(1, {}, disk.world);
        kaio::spawn(loop, work(loop));
        kaio::spawn(loop, queued(loop));
        loop.poll();
        CHECK(!ended);
    }
    CHECK(ended);
    CHECK(late == 1);
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("destroying the loop after the wait was given up waits for the request") {
    slow_disk disk;
    {
        simulated_loop loop(4, {}, disk.world);
        auto const work = [&]() -> kaio::task<> {
            auto const read = co_await kaio::with_timeout(loop, read_of(loop, disk.file), 1ms);
            CHECK(read.in_flight());
        };
        kaio::sync_wait(loop, work());
        CHECK(counted_buffer::alive == 1);
    }
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("a frame may be destroyed after its wait was given up, and not before") {
    slow_disk disk;
    auto const work = [](simulated_loop& loop, const kaio::sim::file& file) -> test::owned_coroutine {
        auto const read = co_await kaio::with_timeout(loop, read_of(loop, file), 1ms);
        CHECK(read.in_flight());
        co_await std::suspend_always();
    };
    {
        simulated_loop loop(4, {}, disk.world);
        test::owned_coroutine waiting = work(loop, disk.file);
        while (loop.timers() != 0) loop.run_one();
        waiting.reset();
        CHECK(counted_buffer::alive == 1);
        loop.run();
        CHECK(counted_buffer::alive == 0);
    }
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              simulated_loop loop(4, {}, disk.world);
              test::owned_coroutine waiting = work(loop, disk.file);
              loop.poll();
              waiting.reset();
              return 0;
          }) == 1000 + SIGABRT);
}

TEST_CASE("a forked child may destroy a coroutine that waits: the request is the parent's") {
    test::temporary_file const file(4096);
    kaio::loop loop(4);
    auto const work = [](kaio::loop& l, const test::temporary_file& f) -> test::owned_coroutine {
        (void)co_await kaio::with_timeout(l, read_of(l, f), 1h);
    };
    test::owned_coroutine waiting = work(loop, file);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              waiting.reset();
              return 7;
          }) == 7);
    loop.run();
    CHECK(waiting.finished());
    CHECK(counted_buffer::alive == 0);
}

TEST_CASE("a loop that was moved from refuses with EINVAL, and the buffer comes back") {
    kaio::loop loop(4);
    kaio::loop const moved(std::move(loop));
    auto const work = [](kaio::loop& l) -> test::owned_coroutine {
        auto const read = co_await kaio::with_timeout(l, read_of(l, 0), 1h);
        CHECK(read.result().res() == -EINVAL);
        CHECK(read.buffer().size() == 64);
    };
    CHECK(work(loop).finished());
}

TEST_CASE("what is asked of a request that is in flight ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::completed_or_in_flight<kaio::io_result, std::string> in_flight;
              return in_flight.buffer().empty() ? 0 : 1;
          }) == 1000 + SIGABRT);
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL);
              ::close(STDERR_FILENO);
              kaio::completed_or_in_flight<kaio::io_result, std::string> const in_flight;
              return in_flight.result() ? 0 : 1;
          }) == 1000 + SIGABRT);
}

TEST_CASE("through a scope: its destructor waits for the request that was given up, and polls and timers can be") {
    slow_disk disk;
    simulated_loop loop(4, {}, disk.world);
    kaio::sim::event const silent = disk.world.make_event();
    int late = 0;
    {
        kaio::basic_request_scope scope(loop);
        auto const work = [&]() -> kaio::task<> {
            auto const in_time =
                co_await kaio::with_timeout(loop, scope.submit(kaio::read(disk.file, counted_buffer(64), 0)), 1h);
            CHECK(in_time.result().bytes() == 64);
            auto const poll = co_await kaio::with_timeout(loop, scope.submit(kaio::poll(silent, POLLIN)), 1ms);
            CHECK(!poll);
            auto const slept = co_await kaio::with_timeout(loop, scope.sleep_for(1h), 1ms);
            CHECK(!slept);
            CHECK(scope.pending() == 0);
            auto const read =
                co_await kaio::with_timeout(loop, scope.submit(kaio::read(disk.file, counted_buffer(64), 0)), 1ms,
                                            [&](kaio::io_result r, counted_buffer) { late += r.bytes() == 64; });
            CHECK(read.in_flight());
            CHECK(scope.pending() == 1);
        };
        kaio::sync_wait(loop, work());
        CHECK(late == 0);
    }
    CHECK(late == 1);
    CHECK(counted_buffer::alive == 0);
    kaio::basic_request_scope closed(loop);
    closed.close();
    auto const refused = [&]() -> kaio::task<> {
        auto const read =
            co_await kaio::with_timeout(loop, closed.submit(kaio::read(disk.file, counted_buffer(64), 0)), 1h);
        CHECK(read.result().res() == -ECANCELED);
        CHECK(read.buffer().size() == 64);
    };
    kaio::sync_wait(loop, refused());
}

#if defined(__cpp_lib_jthread)

TEST_CASE("a stop ends the wait as a deadline does, and with both at once the type stays") {
    slow_disk disk;
    simulated_loop loop(4, {}, disk.world);
    std::stop_source source;
    int late = 0;
    auto const count = [&](kaio::io_result r, counted_buffer) { late += r.bytes() == 64; };
    auto const work = [&]() -> kaio::task<> {
        loop.submit(kaio::after(1ms), [&](kaio::io_result) { source.request_stop(); });
        auto const deadline = co_await kaio::with_timeout(
            loop, kaio::with_stop_token(loop, read_of(loop, disk.file), source.get_token(), count), 100us);
        CHECK(deadline.in_flight());
        auto const stopped = co_await kaio::with_timeout(
            loop, kaio::with_stop_token(loop, read_of(loop, disk.file), source.get_token(), count), 1h);
        CHECK(stopped.in_flight());
        std::uint64_t const before = disk.world.submitted();
        auto const never = co_await kaio::with_stop_token(loop, kaio::with_timeout(loop, read_of(loop, disk.file), 1h),
                                                          source.get_token());
        CHECK(never.result().res() == -ECANCELED);
        CHECK(never.buffer().size() == 64);
        CHECK(disk.world.submitted() == before);
        auto const in_time = co_await kaio::with_timeout(
            loop, kaio::with_stop_token(loop, read_of(loop, disk.file), std::stop_token(), count), 1h);
        CHECK(in_time.result().bytes() == 64);
    };
    kaio::sync_wait(loop, work());
    loop.run();
    CHECK(late == 2);
    CHECK(counted_buffer::alive == 0);
}

#endif

TEST_CASE("whatever comes first, each request ends once, with the right bytes, and no buffer is left") {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::mt19937 random(seed);
        kaio::sim::world world(seed, {.least_latency = 1'000,
                                      .most_latency = 300'000,
                                      .short_transfers = seed % 2 == 0 ? 0.5 : 0,
                                      .no_room = seed % 3 == 0 ? 0.1 : 0});
        kaio::sim::file const file = world.open("file");
        int in_time = 0, late = 0, withdrawn = 0, given_up = 0;
        {
            simulated_loop loop(1 + seed % 5, {}, world);
            fill(loop, file);
            auto const look = [](const counted_buffer& buffer, std::size_t bytes) {
                return buffer.bytes->substr(0, bytes) == std::string(bytes, 'w') &&
                       (bytes == buffer.size() || buffer.bytes->back() == '?');
            };
            auto const note_late = [&](auto result, counted_buffer buffer) {
                CHECK(look(buffer, result.bytes()));
                ++late;
            };
            auto const work = [&](std::chrono::microseconds limit, auto request) -> kaio::task<> {
                auto const read = co_await kaio::with_timeout(loop, loop.submit(std::move(request)), limit, note_late);
                if (read.in_flight()) {
                    ++given_up;
                } else {
                    CHECK(look(read.buffer(), read.result().bytes()));
                    ++(read.result() ? in_time : withdrawn);
                }
            };
            auto const program = [&]() -> kaio::task<> {
                kaio::task_group group(loop);
                for (int i = 0; i < 100; ++i) {
                    std::chrono::microseconds const limit(random() % 400);
                    if (random() % 2 == 0)
                        group.spawn(work(limit, kaio::read(file, counted_buffer(random() % 512 + 1), 0)));
                    else
                        group.spawn(work(limit, kaio::fully(kaio::read(file, counted_buffer(random() % 512 + 1), 0))));
                    if (random() % 4 == 0) co_await loop.sleep_for(std::chrono::microseconds(random() % 200));
                }
                co_await group.wait();
            };
            kaio::sync_wait(loop, program());
            if (seed % 7 != 0) loop.run(); // else the loop's destructor waits
        }
        CHECK(late == given_up);
        CHECK(in_time + withdrawn + given_up == 100);
        CHECK(counted_buffer::alive == 0);
    }
}
