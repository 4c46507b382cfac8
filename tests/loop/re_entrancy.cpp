#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

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
            CHECK(loop.in_flight() + loop.queued() == 0);
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
    kaio::loop loop(16, test::reaped_by(events));
    int done = 0, thrown = 0;
    for (int i = 0; i < 40; ++i)
        loop.submit(kaio::read(i % 5 == 0 ? -1 : file.fd(), buffer, 0), [&, i](kaio::io_result) {
            ++done;
            if (i % 3 == 0) throw std::runtime_error("from a handler");
        });
    while (loop.in_flight() + loop.queued() != 0) {
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

TEST_CASE("a posted function that runs the loop for one handler leaves the other completions to their turn") {
    test::silent_eventfd event;
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    int done = 0;
    kaio::loop loop(8, {.spin_limit = kaio::duration::zero()});
    loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { done += r.poll_events() == POLLIN; });
    auto const last = [&](kaio::io_result r) {
        done += bool(r);
        ::eventfd_write(event.fd, 1);
    };
    loop.post([&] {
        // tmpfs completes both at once. run_one handles the first.
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { done += bool(r); });
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) {
            done += bool(r);
            loop.submit(kaio::read(file, buffer, 0), last);
        });
        loop.run_one();
    });
    auto const began = std::chrono::steady_clock::now();
    loop.run_for(10s);
    CHECK(done == 4);
    CHECK(std::chrono::steady_clock::now() - began < 5s); // it did not sleep over what a handler had submitted
}

TEST_CASE("a handler may fork: in the child run ends with EINVAL, and calls no handler of what was submitted") {
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    int called = 0;
    pid_t child = -1;
    kaio::loop loop(4);
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
        child = ::fork();
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { ++called; });
    });
    auto const answer = loop.try_run();
    if (child == 0) ::_exit(!answer && answer.error().value() == EINVAL && called == 0 ? 0 : 1);
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(called == 1);
}
