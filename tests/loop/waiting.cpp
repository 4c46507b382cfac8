#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("waiting makes one io_getevents without spinning, and none with unlimited spinning") {
    test::script script;
    test::silent_eventfd event;
    kaio::duration const limit = GENERATE(kaio::duration::zero(), kaio::duration());
    test::scripted_loop loop(4, {.spin_limit = limit, .setup = {.events = kaio::reaping::ring}},
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
    test::scripted_loop loop(4, test::reaped_by(kaio::reaping::syscall), test::scripted_kernel(script));
    for (unsigned i = 1; i <= 10; ++i) {
        loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {});
        CHECK(loop.run() == 1);
        CHECK(script.submits == i);
        CHECK(script.waits == i);
    }
    loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {});
    CHECK(loop.run_for(0ms) == 1); // no time to wait, but what has completed is taken

    // What is not there yet costs no second one: the call that asks is the call that sleeps.
    test::silent_eventfd late;
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

TEST_CASE("unlimited spinning without a trusted ring takes events by io_getevents that never waits") {
    test::temporary_file file(64);
    std::vector<char> buffer(64);
    kaio::loop loop(4, {.spin_limit = kaio::duration(), .setup = {.events = kaio::reaping::syscall}});
    std::size_t bytes = 0;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes += r.bytes(); });
    loop.submit(kaio::after(1ms), [&](kaio::io_result) {
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes += r.bytes(); });
    });
    loop.post([&] { ++bytes; });
    loop.run();
    CHECK(bytes == 64 + 64 + 1);
}

TEST_CASE("a wait that is interrupted or fails") {
    test::script script;
    test::silent_eventfd event;
    test::scripted_loop loop(4, {.spin_limit = kaio::duration::zero()}, test::scripted_kernel(script));
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
    struct sigaction action{}, old_action;
    action.sa_handler = count_alarm;
    action.sa_flags = flags;
    ::sigaction(SIGALRM, &action, &old_action);
    itimerval const every{{0, 500}, {0, 500}};
    ::setitimer(ITIMER_REAL, &every, nullptr);

    test::silent_eventfd event;
    kaio::loop loop(4, {.spin_limit = kaio::duration::zero()});
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
    struct sigaction action{}, before{};
    action.sa_handler = [](int) { received = 1; };
    ::sigaction(SIGUSR1, &action, &before);
    sigset_t blocked, old;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &old);

    test::silent_eventfd event;
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
    test::silent_eventfd event;
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

TEST_CASE("stop ends run after the handlers of what has completed; the next run goes on") {
    kaio::loop loop(4);
    loop.hold();
    std::thread other([&] { loop.post([&] { loop.stop(); }); });
    loop.run();
    other.join();
    int called = 0;
    loop.post([&] { ++called; });
    loop.stop();
    loop.run(); // this one is stopped at once, but what was there is done
    CHECK(called == 1);
    loop.release();
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++called; });
    CHECK(loop.run() == 1); // no stop is left over: it waits
    CHECK(called == 2);
    CHECK(loop.run() == 0);
}
