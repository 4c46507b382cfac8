#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

using scripted_loop = kaio::basic_loop<test::scripted_kernel>;
using counted_loop = kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>;

kaio::loop_options reaped_by(kaio::reaping events) { return {.setup = {.events = events}}; }

// A descriptor that never becomes readable.
struct silent_eventfd {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    ~silent_eventfd() { ::close(fd); }
};

} // namespace

TEST_CASE("a handler gets the kernel's result and its buffer the file's bytes") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(10'000);
    std::vector<unsigned char> buffer(4096);
    kaio::loop loop(4, reaped_by(events));
    REQUIRE(loop.uses_ring() == (events == kaio::reaping::ring));

    kaio::io_result got(-1);
    loop.submit(kaio::read(file, buffer, 8192), [&](kaio::io_result r) { got = r; });
    CHECK(loop.waiting() == 1);
    CHECK(loop.in_flight() == 0);
    CHECK(loop.run() == 1);
    CHECK(got.bytes() == 10'000 - 8192);
    for (std::size_t i = 0; i < got.bytes(); ++i) REQUIRE(buffer[i] == test::temporary_file::content(8192 + i));
    CHECK(loop.in_flight() + loop.waiting() == 0);
}

TEST_CASE("a hundred times the capacity completes, each exactly once and first in, first out") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    constexpr unsigned capacity = 8;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(capacity, reaped_by(events));

    std::vector<unsigned> order;
    for (unsigned i = 0; i < 100 * capacity; ++i)
        loop.submit(kaio::read(file, buffer, 0), [&order, i](kaio::io_result r) {
            if (r.bytes() == 64) order.push_back(i);
        });
    CHECK(loop.waiting() == 100 * capacity);
    loop.flush();
    CHECK(loop.in_flight() == capacity);
    CHECK(loop.run() == 100 * capacity);
    // tmpfs completes each request inside io_submit, so the order of completion is that of submission.
    REQUIRE(order.size() == 100 * capacity);
    for (unsigned i = 0; i < order.size(); ++i) REQUIRE(order[i] == i);
}

TEST_CASE("the kernel never has more than the capacity, also when requests come while some are in flight") {
    silent_eventfd event;
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
    CHECK(loop.waiting() == 4);
    ::eventfd_write(event.fd, 1);
    CHECK(loop.run() == 8);
    CHECK(polls == 4);
    CHECK(reads == 4);
}

TEST_CASE("bad requests at every place of a batch complete with their own error, and the others with theirs") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(16, reaped_by(events));
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
        REQUIRE(loop.in_flight() + loop.waiting() == 0);
    }
}

TEST_CASE("a batch makes one io_submit, and a poll with nothing to do no system call") {
    test::script script;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    scripted_loop loop(32, reaped_by(kaio::reaping::ring), test::scripted_kernel(script));
    unsigned done = 0;
    for (int i = 0; i < 32; ++i) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { ++done; });
    loop.run();
    CHECK(done == 32);
    CHECK(script.submits == 1);
    for (int i = 0; i < 1000; ++i) loop.poll();
    CHECK(script.submits == 1);
    CHECK(script.waits == 0);
}

TEST_CASE("waiting makes one io_getevents with no polling, and none with polling without end") {
    test::script script;
    silent_eventfd event;
    kaio::duration const limit = GENERATE(kaio::duration::zero(), kaio::duration());
    scripted_loop loop(4, {.poll_limit = limit, .setup = {.events = kaio::reaping::ring}},
                       test::scripted_kernel(script));
    int mask = 0;
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
    loop.flush();
    std::thread writer([&] {
        std::this_thread::sleep_for(20ms); // only to let the loop find an empty ring: the test holds without it
        ::eventfd_write(event.fd, 1);
    });
    loop.run();
    writer.join();
    CHECK(mask == POLLIN);
    if (limit.is_unlimited())
        CHECK(script.waits == 0);
    else
        CHECK(script.waits <= 1);
    CHECK((limit.is_unlimited() || script.relaxes == 0));
}

TEST_CASE("without the ring a batch costs one io_submit and one io_getevents") {
    test::script script;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    scripted_loop loop(4, reaped_by(kaio::reaping::syscall), test::scripted_kernel(script));
    for (unsigned i = 1; i <= 10; ++i) {
        loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {});
        CHECK(loop.run() == 1);
        CHECK(script.submits == i);
        CHECK(script.waits == i);
    }
    loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {});
    CHECK(loop.run_for(0ms) == 1); // no time to wait, but what has completed is taken

    // What is not there yet costs no second one: the call that asks is the call that sleeps.
    silent_eventfd late;
    std::atomic<bool> asleep{false};
    script.before_getevents = [&asleep] { asleep = true; };
    loop.submit(kaio::poll(late.fd, POLLIN), [](kaio::io_result) {});
    unsigned const before = script.waits;
    std::thread other([&] {
        while (!asleep) std::this_thread::yield();
        std::this_thread::sleep_for(10ms);
        ::eventfd_write(late.fd, 1);
    });
    CHECK(loop.run() == 1);
    other.join();
    CHECK(script.waits == before + 1);
}

TEST_CASE("io_submit may take any part of a batch") {
    test::script script;
    script.most_at_once = GENERATE(1, 2, 3, 7);
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    scripted_loop loop(16, {}, test::scripted_kernel(script));
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
            scripted_loop loop(4, {}, test::scripted_kernel(script));
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
            CHECK(loop.in_flight() + loop.waiting() == 0);
        }
}

TEST_CASE("EAGAIN with requests in flight is met by waiting, not by asking again") {
    test::script script;
    silent_eventfd event;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    scripted_loop loop(4, {.poll_limit = kaio::duration::zero()}, test::scripted_kernel(script));
    int mask = 0;
    std::size_t bytes = 0;
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
    loop.flush();
    REQUIRE(script.submits == 1);
    script.submit[2] = -EAGAIN;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes = r.bytes(); });
    for (int i = 0; i < 100; ++i) loop.poll();
    CHECK(script.submits == 2);
    CHECK(loop.waiting() == 1);
    ::eventfd_write(event.fd, 1);
    loop.run();
    CHECK(mask == POLLIN);
    CHECK(bytes == 64);
    CHECK(script.submits == 3);
}

TEST_CASE("after EAGAIN one completion is enough to go on, whatever else stays in flight") {
    test::script script;
    script.submit[2] = -EAGAIN;
    silent_eventfd silent;
    char byte;
    int read = 0, cancelled = 0;
    {
        scripted_loop loop(8, {}, test::scripted_kernel(script));
        kaio::file const zero = kaio::file::open("/dev/zero", O_RDONLY);
        auto const count = [&](kaio::io_result r) { read += r.bytes() == 1; };
        loop.submit(kaio::poll(silent.fd, POLLIN), [&](kaio::io_result r) { cancelled = -static_cast<int>(r.res()); });
        loop.submit(kaio::read(zero, std::span(&byte, 1), 0), count);
        loop.flush();
        loop.submit(kaio::read(zero, std::span(&byte, 1), 0), count);
        loop.flush(); // refused
        CHECK(loop.waiting() == 1);
        for (int i = 0; i < 3; ++i) loop.poll();
        CHECK(read == 2);
        CHECK(loop.in_flight() == 1);
    }
    CHECK(cancelled == ECANCELED);
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

TEST_CASE("destroying a loop waits for what can't be cancelled, and its handler gets the result") {
    test::script script;
    for (unsigned i = 1; i < 10; ++i) script.cancel[i] = -EINVAL;
    silent_eventfd late;
    script.before_getevents = [&late] { ::eventfd_write(late.fd, 1); };
    int heard = 0;
    {
        scripted_loop loop(2, {}, test::scripted_kernel(script));
        loop.submit(kaio::poll(late.fd, POLLIN), [&](kaio::io_result r) { heard = r.poll_events(); });
        loop.flush();
    }
    CHECK(heard == POLLIN);
}

TEST_CASE("destroying a loop cancels the polls that are in flight, and no others") {
    test::script script;
    silent_eventfd first, second, third;
    int ended = 0;
    auto const count = [&](kaio::io_result) { ++ended; };
    kaio::owned_operation a(count), b(count), c(count);
    {
        scripted_loop loop(4, {}, test::scripted_kernel(script));
        loop.submit(kaio::poll(first.fd, POLLIN), a);
        loop.submit(kaio::poll(second.fd, POLLIN), b);
        loop.submit(kaio::poll(third.fd, POLLIN), c);
        loop.flush();
        for (int const fd : {second.fd, first.fd}) { // the one in the middle ends before its neighbour
            ::eventfd_write(fd, 1);
            loop.run_one();
        }
        CHECK(ended == 2);
    }
    CHECK(ended == 3);
    CHECK(script.cancels == 1);
}

TEST_CASE("a child that destroys a loop calls no handler") {
    int called = 0;
    auto const loop = std::make_unique<kaio::loop>(2);
    loop->submit(kaio::after(kaio::duration()), [&](kaio::io_result) { ++called; }); // for ever
    CHECK(test::in_child([&] {
              loop->~basic_loop();
              return called;
          }) == 0);
}

TEST_CASE("EAGAIN for ever, with nothing in flight, becomes the request's result instead of an endless loop") {
    test::script script;
    for (unsigned call = 1; call <= 1000; ++call) script.submit[call] = -EAGAIN;
    std::vector<char> buffer(64);
    scripted_loop loop(4, {}, test::scripted_kernel(script));
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
    scripted_loop loop(4, {}, test::scripted_kernel(script));
    int read = 0;
    for (int i = 0; i < 50; ++i) {
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { read += r.bytes() == 64; });
        loop.run();
    }
    CHECK(read == 50);
}

TEST_CASE("a wait that is interrupted or fails") {
    test::script script;
    silent_eventfd event;
    scripted_loop loop(4, {.poll_limit = kaio::duration::zero()}, test::scripted_kernel(script));
    int mask = 0;
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });

    SECTION("EINTR and empty early returns go on") {
        script.getevents[1] = -EINTR;
        script.getevents[2] = 0;
        script.getevents[3] = -EINTR;
        script.before_getevents = [&] { ::eventfd_write(event.fd, 1); };
        CHECK(loop.run() == 1);
        CHECK(mask == POLLIN);
        CHECK(script.waits == 4);
    }
    SECTION("any other error comes out of run, and the request is still in flight") {
        script.getevents[1] = -EFAULT;
        auto const answer = loop.try_run();
        REQUIRE(!answer);
        CHECK(answer.error().value() == EFAULT);
        CHECK(loop.in_flight() == 1);
        ::eventfd_write(event.fd, 1);
        CHECK(loop.run() == 1);
        CHECK(mask == POLLIN);
    }
}

namespace {
volatile std::sig_atomic_t alarms;
void count_alarm(int) { alarms = alarms + 1; }
} // namespace

TEST_CASE("signals during a wait lose nothing, with SA_RESTART and without") {
    int const flags = GENERATE(0, SA_RESTART);
    struct sigaction action {
    }, old_action;
    action.sa_handler = count_alarm;
    action.sa_flags = flags;
    ::sigaction(SIGALRM, &action, &old_action);
    itimerval const every{{0, 500}, {0, 500}};
    ::setitimer(ITIMER_REAL, &every, nullptr);

    silent_eventfd event;
    kaio::loop loop(4, {.poll_limit = kaio::duration::zero()});
    int mask = 0;
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
    alarms = 0;
    do CHECK(loop.run_for(2ms) == 0); // each wait is interrupted several times
    while (alarms < 20);
    CHECK(loop.in_flight() == 1);
    ::eventfd_write(event.fd, 1);
    CHECK(loop.run() == 1);
    CHECK(mask == POLLIN);

    itimerval const never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &old_action, nullptr);
}

TEST_CASE("run_one with a signal mask ends when a signal comes that only the mask lets in") {
    static volatile std::sig_atomic_t received;
    received = 0;
    struct sigaction action {
    }, before{};
    action.sa_handler = [](int) { received = 1; };
    ::sigaction(SIGUSR1, &action, &before);
    sigset_t blocked, old;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &old);

    silent_eventfd event;
    kaio::loop loop(4);
    loop.submit(kaio::poll(event.fd, POLLIN), [](kaio::io_result) {});
    ::raise(SIGUSR1); // pending from now on
    auto const one = loop.try_run_one(&old);
    bool const supported = one || one.error().value() != ENOSYS;
    if (supported) {
        REQUIRE(one);
        CHECK(*one == 0);
        CHECK(received == 1);
        CHECK(loop.in_flight() == 1);
    }
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    ::sigaction(SIGUSR1, &before, nullptr);
    if (!supported) SKIP_TEST("no io_pgetevents here");
}

TEST_CASE("run_for ends the wait after its time, and no request") {
    silent_eventfd event;
    kaio::loop loop(4);
    int mask = 0;
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
    auto const start = std::chrono::steady_clock::now();
    CHECK(loop.run_for(30ms) == 0);
    CHECK(std::chrono::steady_clock::now() - start >= 30ms);
    CHECK(loop.in_flight() == 1);
    CHECK(loop.run_for(0ms) == 0);
    ::eventfd_write(event.fd, 1);
    CHECK(loop.run_for(10s) == 1);
    CHECK(mask == POLLIN);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("run_one calls one handler, and none when nothing is there") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(8);
    int done = 0;
    CHECK(loop.run_one() == 0);
    for (int i = 0; i < 3; ++i) loop.submit(kaio::read(i == 1 ? -1 : file.fd(), buffer, 0), [&](auto) { ++done; });
    for (int i = 1; i <= 3; ++i) {
        CHECK(loop.run_one() == 1);
        CHECK(done == i);
    }
    CHECK(loop.run_one() == 0);
}

TEST_CASE("a handler may submit a thousand more, poll and run") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(8);
    int done = 0;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
        for (int i = 0; i < 1000; ++i) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { ++done; });
        loop.poll();
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
            loop.run(); // all but this one
            CHECK(loop.in_flight() + loop.waiting() == 0);
            ++done;
        });
    });
    loop.run();
    CHECK(done == 1001);
}

TEST_CASE("a handler that throws lets its exception out, and no other completion is lost") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(16, reaped_by(events));
    int done = 0, thrown = 0;
    for (int i = 0; i < 40; ++i)
        loop.submit(kaio::read(i % 5 == 0 ? -1 : file.fd(), buffer, 0), [&, i](kaio::io_result) {
            ++done;
            if (i % 3 == 0) throw std::runtime_error("from a handler");
        });
    while (loop.in_flight() + loop.waiting() != 0) {
        try {
            loop.run();
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    }
    CHECK(done == 40);
    CHECK(thrown == 14);
}

TEST_CASE("a handler may destroy its own buffer, and handlers are destroyed after their call") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    auto const alive = std::make_shared<int>(0);
    for (int i = 0; i < 20; ++i) {
        auto buffer = std::make_unique<std::vector<char>>(64);
        auto const request = kaio::read(i % 4 == 0 ? -1 : file.fd(), *buffer, 0);
        loop.submit(request, [buffer = std::move(buffer), alive](kaio::io_result) mutable { buffer.reset(); });
    }
    CHECK(alive.use_count() == 21);
    loop.run();
    CHECK(alive.use_count() == 1);
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
    loop.submit(
        kaio::read(file, buffer, 0), +[](kaio::io_result r) { total += r.bytes(); });
    std::unique_ptr<int> moves_only(new int(1));
    loop.submit(kaio::read(file, buffer, 0), [p = std::move(moves_only)](kaio::io_result r) { total += r.bytes(); });
    auto named = [](kaio::io_result r) { total += r.bytes(); };
    loop.submit(kaio::read(file, buffer, 0), named);
    CHECK(loop.run() == 5);
    CHECK(total == 5 * 64);
}

TEST_CASE("operations that the caller owns may be submitted again and destroyed in their own handler") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(2);

    struct again {
        kaio::loop& loop;
        test::temporary_file& file;
        std::vector<char>& buffer;
        kaio::operation* self = nullptr;
        int done = 0;
        void operator()(kaio::io_result r) {
            if (r.bytes() == 64 && ++done < 100) loop.submit(kaio::read(file, buffer, 0), *self);
        }
    };
    kaio::owned_operation<again> op({loop, file, buffer});
    op.handler().self = &op;
    loop.submit(kaio::read(file, buffer, 0), op);
    CHECK(loop.run() == 100);
    CHECK(op.handler().done == 100);

    struct suicide {
        std::unique_ptr<kaio::owned_operation<suicide>>* self;
        void operator()(kaio::io_result) { self->reset(); }
    };
    std::unique_ptr<kaio::owned_operation<suicide>> mortal;
    mortal = std::make_unique<kaio::owned_operation<suicide>>(suicide{&mortal});
    loop.submit(kaio::read(-1, buffer, 0), *mortal);
    CHECK(loop.run() == 1);
    CHECK(mortal == nullptr);
}

TEST_CASE("destroying a loop completes everything: in flight with its result, polls and the rest with ECANCELED") {
    silent_eventfd event;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    std::vector<std::int64_t> polls, reads, late;
    {
        kaio::loop loop(4);
        for (int i = 0; i < 3; ++i)
            loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { polls.push_back(r.res()); });
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) {
            reads.push_back(r.res());
            loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result s) { late.push_back(s.res()); });
        });
        loop.flush();
        for (int i = 0; i < 20; ++i)
            loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { late.push_back(r.res()); });
        CHECK(loop.in_flight() == 4);
        CHECK(loop.waiting() == 20);
    }
    CHECK(polls == std::vector<std::int64_t>(3, -ECANCELED));
    CHECK(reads == std::vector<std::int64_t>{64});
    CHECK(late == std::vector<std::int64_t>(21, -ECANCELED));
}

TEST_CASE("completions, timers and posts take turns: what is always there keeps nothing else from its turn") {
    test::temporary_file file(64);
    kaio::loop loop(4);
    std::vector<char> buffer(64);
    auto const runs = GENERATE(0, 1, 2); // run_one, poll, and run for a while
    bool stop = false;
    unsigned timers = 0, reads = 0, posts = 0;
    std::function<void()> const time = [&] {
        loop.submit(kaio::after(0ms), [&](kaio::io_result) {
            if (++timers; !stop) time();
        });
    };
    std::function<void()> const read = [&] {
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
            if (++reads; !stop) read();
        });
    };
    std::function<void()> const post = [&] {
        loop.post([&] {
            if (++posts; !stop) post();
        });
    };
    time();
    read();
    post();
    for (int i = 0; i < 300; ++i) {
        if (runs == 0)
            loop.run_one();
        else if (runs == 1)
            loop.poll();
        else
            loop.run_for(1us);
    }
    CHECK(timers >= 90);
    CHECK(reads >= 90);
    CHECK(posts >= 90);
    stop = true;
    loop.run();
}

TEST_CASE("handlers that always throw keep nothing else from its turn") {
    test::temporary_file file(64);
    kaio::loop loop(4);
    std::vector<char> buffer(64);
    bool stop = false;
    unsigned reads = 0, posts = 0, thrown = 0;
    std::function<void()> const time = [&] {
        loop.submit(kaio::after(0ms), [&](kaio::io_result) {
            if (stop) return;
            time();
            throw std::runtime_error("timer");
        });
    };
    std::function<void()> const read = [&] {
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
            if (++reads; stop) return;
            read();
            throw std::runtime_error("read");
        });
    };
    std::function<void()> const post = [&] {
        loop.post([&] {
            if (++posts; !stop) post();
        });
    };
    time();
    read();
    post();
    for (int i = 0; i < 300; ++i) try {
            loop.poll();
        } catch (const std::runtime_error&) {
            ++thrown;
        }
    CHECK(thrown >= 100);
    CHECK(reads >= 90);
    CHECK(posts >= 90);
    stop = true;
    loop.run();
}

TEST_CASE("a handler that cancels what it has just submitted, for ever, does not keep poll from returning") {
    kaio::loop loop(4);
    unsigned calls = 0;
    bool stop = false;
    std::function<void()> handler;
    kaio::owned_operation op([&](kaio::io_result) { handler(); });
    handler = [&] {
        if (stop || ++calls == 1000) return;
        loop.submit(kaio::after(1h), op);
        CHECK(loop.cancel(op));
    };
    loop.submit(kaio::after(0ms), op);
    CHECK(loop.poll() == 1);
    CHECK(loop.poll() == 1);
    CHECK(calls == 2);
    stop = true;
    loop.run();
}

TEST_CASE("polling without end, and without a trusted ring, takes events by io_getevents that never waits") {
    test::temporary_file file(64);
    std::vector<char> buffer(64);
    kaio::loop loop(4, {.poll_limit = kaio::duration(), .setup = {.events = kaio::reaping::syscall}});
    std::size_t bytes = 0;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes += r.bytes(); });
    loop.submit(kaio::after(1ms), [&](kaio::io_result) {
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes += r.bytes(); });
    });
    loop.post([&] { ++bytes; });
    loop.run();
    CHECK(bytes == 64 + 64 + 1);
}

TEST_CASE("a loop that is destroyed inside a handler of its own ends the program with a message when that returns") {
    int const which = GENERATE(range(0, 6));
    test::temporary_file const said(0);
    int const status = test::in_child([&] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::dup2(said.fd(), STDERR_FILENO);
        test::temporary_file file(64);
        std::vector<char> buffer(64);
        auto loop = std::make_unique<kaio::loop>(4);
        auto const end = [&loop](auto...) { loop.reset(); };
        auto const end_and_throw = [&loop](kaio::io_result) {
            loop.reset();
            throw std::runtime_error("and then");
        };
        if (which == 0) loop->submit(kaio::read(file, buffer, 0), end);
        if (which == 1) loop->submit(kaio::after(0ms), end);
        if (which == 2) loop->post(end);
        if (which == 3) loop->submit(kaio::read(file, buffer, 0), end_and_throw);
        if (which == 4) loop->submit(kaio::after(0ms), [&](kaio::io_result) { loop->post(end), loop->run(); });
        if (which == 5) { // to leave by exit is another matter: nothing returns
            loop->submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
                loop.reset();
                ::_exit(5);
            });
        }
        loop->run_one();
        return 0;
    });
    if (which == 5) {
        CHECK(status == 5);
        return;
    }
    CHECK(status == 1000 + SIGABRT);
    char text[512] = {};
    (void)!::pread(said.fd(), text, sizeof text - 1, 0);
    CHECK_THAT(std::string(text), test::ContainsSubstring("destroyed inside one of its own handlers") &&
                                      test::ContainsSubstring("when run has returned"));
}

TEST_CASE("a forked child may leave by exit: operations that are in flight, waiting or timed are its parent's") {
    silent_eventfd event;
    auto const ignore = [](kaio::io_result) {};
    auto loop = std::make_unique<kaio::loop>(1);
    std::vector<std::unique_ptr<kaio::owned_operation<decltype(ignore)>>> operations;
    for (int i = 0; i < 3; ++i) operations.push_back(std::make_unique<kaio::owned_operation<decltype(ignore)>>(ignore));
    loop->submit(kaio::poll(event.fd, POLLIN), *operations[0]);
    loop->submit(kaio::poll(event.fd, POLLIN), *operations[1]);
    loop->submit(kaio::after(1h), *operations[2]);
    loop->flush();
    bool const loop_first = GENERATE(false, true);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              kaio::loop own(1); // a loop of the child's own makes no difference
              if (loop_first) loop.reset();
              operations.clear();
              return 0;
          }) == 0);
    CHECK(test::in_child([&] { // but what the child has submitted itself does
              std::signal(SIGABRT, SIG_DFL);
              ::close(STDERR_FILENO);
              kaio::loop own(1);
              kaio::owned_operation op(ignore);
              own.submit(kaio::after(1h), op);
              return 0;
          }) == 1000 + SIGABRT);
    loop.reset();
}

TEST_CASE("a loop that was moved from refuses to run, and cancels what is submitted to it") {
    std::int64_t result = 0;
    kaio::owned_operation op([&](kaio::io_result r) { result = r.res(); });
    {
        kaio::loop first(4);
        kaio::loop second(std::move(first));
        CHECK(second.capacity() == 4);
        CHECK(first.capacity() == 0);
        std::vector<char> buffer(64);
        auto const request = kaio::read(0, buffer, 0);
        CHECK(first.try_submit(request, [](kaio::io_result) {}).error().value() == EINVAL);
        CHECK_THROWS_WITH(first.submit(request, [](kaio::io_result) {}), test::ContainsSubstring("moved from"));
        first.submit(request, op);
        CHECK(first.try_poll().error().value() == EINVAL);
        CHECK(first.try_run().error().value() == EINVAL);
        CHECK_THROWS_AS(first.run_for(1ms), std::system_error);
    }
    CHECK(result == -ECANCELED);
}

TEST_CASE("fork with a live loop: the child can't disturb the parent, may destroy its copy and make its own") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    silent_eventfd event;
    auto loop = std::make_unique<kaio::loop>(8);
    int reads = 0, polls = 0;
    for (int i = 0; i < 5; ++i) loop->submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += !!r; });
    loop->submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { polls += r.poll_events() == POLLIN; });
    loop->flush();
    loop->submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += !!r; });

    int const status = test::in_child([&] {
        if (loop->has_completions()) return 1;
        if (loop->try_poll().error().value() != EINVAL) return 2;
        if (loop->try_run().error().value() != EINVAL) return 3;
        kaio::loop own(8);
        int done = 0;
        for (int i = 0; i < 100; ++i) own.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { done += !!r; });
        own.run();
        if (done != 100) return 4;
        if (loop->try_poll().error().value() != EINVAL) return 5;
        loop.reset(); // no handler runs, nothing is waited for
        return reads == 0 && polls == 0 ? 0 : 6;
    });
    CHECK(status == 0);

    ::eventfd_write(event.fd, 1);
    CHECK(loop->run() == 7);
    CHECK(reads == 6);
    CHECK(polls == 1);
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
    scripted_loop loop(8, {}, test::scripted_kernel(script));
    CHECK(!loop.uses_ring());
    int done = 0;
    for (int i = 0; i < 100; ++i) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { done += !!r; });
    loop.run();
    CHECK(done == 100);
    CHECK(script.waits > 0);
}

TEST_CASE("counters count what the loop does, for those who ask for them") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    counted_loop loop(8, reaped_by(kaio::reaping::ring));
    for (int i = 0; i < 20; ++i) loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {});
    loop.run();
    kaio::loop_counters const& counted = loop.observer();
    CHECK(counted.submissions == 20);
    CHECK(counted.completions == 20);
    CHECK(counted.batches == 3);
    CHECK(counted.waits == 0);
    CHECK(counted.completed_inside == 20); // tmpfs
    CHECK(counted.submit_ns > 0);
    CHECK(counted.longest_submit_ns <= counted.submit_ns);
    CHECK(sizeof(kaio::loop) + sizeof(kaio::loop_counters) <= sizeof(counted_loop) + 8);

    silent_eventfd silent;
    loop.submit(kaio::poll(silent.fd, POLLIN), [](kaio::io_result) {});
    loop.run_for(20ms);
    CHECK(counted.waits == 1);
}

TEST_CASE("try_make gives the error that the constructor throws, and makes do with less if told so") {
    CHECK(kaio::loop::try_make(0).error().value() == EINVAL);
    CHECK_THROWS_WITH(kaio::loop(0), test::ContainsSubstring("io_setup(0)"));
    test::script script;
    script.setup[1] = script.setup[2] = -EAGAIN;
    auto loop = scripted_loop::try_make(64, {.setup = {.at_least = 10}}, test::scripted_kernel(script));
    REQUIRE(loop);
    CHECK(loop->capacity() == 15); // (64 + 1) / 2 / 2, of which one is post's
    CHECK(loop->poll() == 0);
}
