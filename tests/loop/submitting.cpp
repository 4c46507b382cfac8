#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

TEST_CASE("a handler gets the kernel's result and its buffer the file's bytes") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(10'000);
    std::vector<unsigned char> buffer(4096);
    kaio::loop loop(4, test::reaped_by(events));
    REQUIRE(loop.uses_ring() == (events == kaio::reaping::ring));

    kaio::io_result got(-1);
    loop.submit(kaio::read(file, buffer, 8192), [&](kaio::io_result r) { got = r; });
    CHECK(loop.queued() == 1);
    CHECK(loop.in_flight() == 0);
    CHECK(loop.run() == 1);
    CHECK(got.bytes() == 10'000 - 8192);
    for (std::size_t i = 0; i < got.bytes(); ++i) REQUIRE(buffer[i] == test::temporary_file::content(8192 + i));
    CHECK(loop.in_flight() + loop.queued() == 0);
}

TEST_CASE("a hundred times the capacity completes, each exactly once and first in, first out") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    constexpr unsigned capacity = 8;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(capacity, test::reaped_by(events));

    std::vector<unsigned> order;
    for (unsigned i = 0; i < 100 * capacity; ++i)
        loop.submit(kaio::read(file, buffer, 0), [&order, i](kaio::io_result r) {
            if (r.bytes() == 64) order.push_back(i);
        });
    CHECK(loop.queued() == 100 * capacity);
    loop.flush();
    CHECK(loop.in_flight() == capacity);
    CHECK(loop.run() == 100 * capacity);
    // tmpfs completes each request inside io_submit, so the order of completion is that of submission.
    REQUIRE(order.size() == 100 * capacity);
    for (unsigned i = 0; i < order.size(); ++i) REQUIRE(order[i] == i);
}

TEST_CASE("the kernel never has more than the capacity, also when requests come while some are in flight") {
    test::silent_eventfd event;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(4);
    int polls = 0, reads = 0;
    for (int i = 0; i < 4; ++i)
        loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { polls += r.poll_events() == POLLIN; });
    loop.flush();
    for (int i = 0; i < 4; ++i) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += !!r; });
    CHECK(loop.flush() == 0);
    CHECK(loop.in_flight() == 4);
    CHECK(loop.queued() == 4);
    ::eventfd_write(event.fd, 1);
    CHECK(loop.run() == 8);
    CHECK(polls == 4);
    CHECK(reads == 4);
}

TEST_CASE("bad requests at every place of a batch complete with their own error, and the others with theirs") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(16, test::reaped_by(events));
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        unsigned const count = 1 + random() % 40;
        std::vector<int> times(count), bad(count);
        for (unsigned i = 0; i < count; ++i) {
            bad[i] = random() % 3 == 0;
            loop.submit(kaio::read(bad[i] ? -1 : file.fd(), buffer, 0), [&, i](kaio::io_result r) {
                ++times[i];
                bool const right = bad[i] ? r.res() == -EBADF : r.bytes() == 64;
                if (!right) times[i] += 100;
            });
            if (random() % 8 == 0) loop.flush();
            if (random() % 16 == 0) loop.poll();
        }
        loop.run();
        for (unsigned i = 0; i < count; ++i) REQUIRE(times[i] == 1);
        REQUIRE(loop.in_flight() + loop.queued() == 0);
    }
}

TEST_CASE("a batch makes one io_submit, and a poll with nothing to do no system call") {
    test::script script;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::scripted_loop loop(32, test::reaped_by(kaio::reaping::ring), test::scripted_kernel(script));
    unsigned done = 0;
    for (int i = 0; i < 32; ++i) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { ++done; });
    loop.run();
    CHECK(done == 32);
    CHECK(script.submits == 1);
    for (int i = 0; i < 1000; ++i) loop.poll();
    CHECK(script.submits == 1);
    CHECK(script.waits == 0);
}

TEST_CASE("io_submit may take any part of a batch") {
    test::script script;
    script.most_at_once = GENERATE(1, 2, 3, 7);
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::scripted_loop loop(16, {}, test::scripted_kernel(script));
    std::vector<int> times(50);
    for (auto& t : times) loop.submit(kaio::read(file, buffer, 0), [&t](kaio::io_result r) { t += r.bytes() == 64; });
    loop.run();
    CHECK(times == std::vector<int>(50, 1));
}

TEST_CASE("every errno of io_submit at every call: each request completes once, and the loop goes on") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    for (int const error : {EAGAIN, EBADF, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, ENOMEM})
        for (unsigned call = 1; call <= 6; ++call) {
            test::script script;
            script.most_at_once = 3;
            script.submit[call] = -error;
            test::scripted_loop loop(4, {}, test::scripted_kernel(script));
            int total = 0, failed = 0;
            for (int i = 0; i < 12; ++i)
                loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) {
                    ++total;
                    if (!r) {
                        ++failed;
                        CHECK(r.res() == -error);
                    }
                });
            loop.run();
            CAPTURE(error, call);
            CHECK(total == 12);
            CHECK(failed == (error == EAGAIN || script.submits < call ? 0 : 1));
            CHECK(loop.in_flight() + loop.queued() == 0);
        }
}

TEST_CASE("EAGAIN with requests in flight is met by waiting, not by asking again") {
    test::script script;
    test::silent_eventfd event;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::scripted_loop loop(4, {.spin_limit = kaio::duration::zero()}, test::scripted_kernel(script));
    int mask = 0;
    std::size_t bytes = 0;
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
    loop.flush();
    REQUIRE(script.submits == 1);
    script.submit[2] = -EAGAIN;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes = r.bytes(); });
    for (int i = 0; i < 100; ++i) loop.poll();
    CHECK(script.submits == 2);
    CHECK(loop.queued() == 1);
    ::eventfd_write(event.fd, 1);
    loop.run();
    CHECK(mask == POLLIN);
    CHECK(bytes == 64);
    CHECK(script.submits == 3);
}

TEST_CASE("after EAGAIN one completion is enough to go on, whatever else stays in flight") {
    test::script script;
    script.submit[2] = -EAGAIN;
    test::silent_eventfd silent;
    char byte;
    int read = 0, cancelled = 0;
    {
        test::scripted_loop loop(8, {}, test::scripted_kernel(script));
        kaio::file const zero = kaio::file::open("/dev/zero", O_RDONLY);
        auto const count = [&](kaio::io_result r) { read += r.bytes() == 1; };
        loop.submit(kaio::poll(silent.fd, POLLIN), [&](kaio::io_result r) { cancelled = -static_cast<int>(r.res()); });
        loop.submit(kaio::read(zero, std::span(&byte, 1), 0), count);
        loop.flush();
        loop.submit(kaio::read(zero, std::span(&byte, 1), 0), count);
        loop.flush(); // refused
        CHECK(loop.queued() == 1);
        for (int i = 0; i < 3; ++i) loop.poll();
        CHECK(read == 2);
        CHECK(loop.in_flight() == 1);
    }
    CHECK(cancelled == ECANCELED);
}

TEST_CASE("what EAGAIN leaves of a batch is submitted when something has completed, and each request once") {
    test::script script;
    script.most_at_once = 2;
    script.submit[2] = -EAGAIN; // after the first two
    test::temporary_file file(4096);
    std::vector<std::vector<char>> buffers(5, std::vector<char>(16));
    std::vector<std::size_t> order;
    test::scripted_loop loop(5, {}, test::scripted_kernel(script));
    for (std::size_t i = 0; i < buffers.size(); ++i)
        loop.submit(kaio::read(file, buffers[i], static_cast<std::int64_t>(100 * i)), [&, i](kaio::io_result r) {
            CHECK(r.bytes() == 16);
            CHECK(static_cast<unsigned char>(buffers[i][0]) == test::temporary_file::content(100 * i));
            order.push_back(i);
        });
    CHECK(loop.flush() == 2);
    CHECK(loop.queued() == 3);
    CHECK(loop.run() == 5);
    CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("EAGAIN for ever, with nothing in flight, becomes the request's result instead of an endless loop") {
    test::script script;
    for (unsigned call = 1; call <= 1000; ++call) script.submit[call] = -EAGAIN;
    std::vector<char> buffer(64);
    test::scripted_loop loop(4, {}, test::scripted_kernel(script));
    std::vector<std::int64_t> results;
    for (int i = 0; i < 10; ++i)
        loop.submit(kaio::read(0, buffer, 0), [&](kaio::io_result r) { results.push_back(r.res()); });
    CHECK(loop.run() == 10);
    CHECK(results == std::vector<std::int64_t>(10, -EAGAIN));
    CHECK(script.submits < 100);
}

TEST_CASE("EAGAIN now and then, with nothing in flight, is never a request's result") {
    test::script script;
    for (unsigned call = 1; call <= 100; call += 2) script.submit[call] = -EAGAIN;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::scripted_loop loop(4, {}, test::scripted_kernel(script));
    int read = 0;
    for (int i = 0; i < 50; ++i) {
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { read += r.bytes() == 64; });
        loop.run();
    }
    CHECK(read == 50);
}

TEST_CASE("flags go to the kernel") {
    kaio::loop loop(2);
    kaio::file const zero = kaio::file::open("/dev/zero", O_RDONLY);
    char byte;
    int error = 0;
    loop.submit(kaio::read(zero, std::span(&byte, 1), 0).flags(static_cast<kaio::rw_flags>(1 << 30)),
                [&](kaio::io_result r) { error = r.error().value(); });
    loop.run();
    CHECK(error == EOPNOTSUPP); // of no flag that Linux has
}

TEST_CASE("handlers of any size, alignment and kind") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(4);
    struct alignas(64) large {
        std::size_t* bytes;
        char padding[200];
        void operator()(kaio::io_result r) const {
            CHECK(reinterpret_cast<std::uintptr_t>(this) % 64 == 0);
            *bytes += r.bytes();
        }
    };
    struct moves_by_throwing {
        std::size_t* bytes;
        explicit moves_by_throwing(std::size_t* b) : bytes(b) {}
        moves_by_throwing(const moves_by_throwing& other) noexcept(false) : bytes(other.bytes) {}
        void operator()(kaio::io_result r) { *bytes += r.bytes(); }
    };
    static std::size_t total = 0;
    total = 0;
    loop.submit(kaio::read(file, buffer, 0), large{&total, {}});
    loop.submit(kaio::read(file, buffer, 0), moves_by_throwing(&total));
    loop.submit(kaio::read(file, buffer, 0), +[](kaio::io_result r) { total += r.bytes(); });
    std::unique_ptr<int> moves_only(new int(1));
    loop.submit(kaio::read(file, buffer, 0), [p = std::move(moves_only)](kaio::io_result r) { total += r.bytes(); });
    auto named = [](kaio::io_result r) { total += r.bytes(); };
    loop.submit(kaio::read(file, buffer, 0), named);
    CHECK(loop.run() == 5);
    CHECK(total == 5 * 64);
}

TEST_CASE("polls and reads together, in any order of completion") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    std::vector<int> fds(12);
    for (int& fd : fds) fd = ::eventfd(0, EFD_CLOEXEC);
    kaio::loop loop(8); // fewer than polls, so that some wait
    std::set<int> ready;
    std::size_t bytes = 0;
    for (int const fd : fds)
        loop.submit(kaio::poll(fd, POLLIN), [&, fd](kaio::io_result r) {
            if (r.poll_events() == POLLIN) ready.insert(fd);
        });
    loop.flush();
    CHECK(loop.in_flight() == 8);
    for (std::size_t const i : {3u, 0u, 7u, 5u, 1u, 2u, 4u, 6u, 8u, 11u, 10u, 9u}) {
        ::eventfd_write(fds[i], 1);
        while (!ready.contains(fds[i])) loop.run_one();
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes += r.bytes(); });
        if (i < 8) loop.poll();
    }
    loop.run();
    CHECK(ready.size() == 12);
    CHECK(bytes == 12 * 64);
    for (int const fd : fds) ::close(fd);
}

TEST_CASE("a ring that can't be trusted: the same results by io_getevents") {
    test::script script;
    auto const [offset, value] = GENERATE(table<unsigned, std::uint32_t>({{16, 0}, {24, 1}, {28, 64}, {4, 1}}));
    script.ring_fields[offset] = value;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::scripted_loop loop(8, {}, test::scripted_kernel(script));
    CHECK(!loop.uses_ring());
    int done = 0;
    for (int i = 0; i < 100; ++i) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { done += !!r; });
    loop.run();
    CHECK(done == 100);
    CHECK(script.waits > 0);
}
