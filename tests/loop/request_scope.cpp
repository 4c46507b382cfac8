#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<kaio::request_scope> && !std::is_move_constructible_v<kaio::request_scope>);
static_assert(!std::is_copy_assignable_v<kaio::request_scope> && !std::is_move_assignable_v<kaio::request_scope>);

namespace {

// In its natural order: it is made after the loop, and goes before it.
template <class Loop> struct basic_owner {
    test::temporary_file file{4096};
    std::vector<char> buffer = std::vector<char>(64);
    std::vector<std::int64_t>& results;
    kaio::basic_request_scope<Loop> scope;

    basic_owner(Loop& loop, std::vector<std::int64_t>& heard) : results(heard), scope(loop) {}
    auto note() {
        return [this](kaio::io_result r) { results.push_back(r.res()); };
    }
    void read() { scope.submit(kaio::read(file, buffer, 0), note()); }
};
using owner = basic_owner<kaio::loop>;

// What the program writes to stderr in a child, and how that ends.
template <class Body> std::string said_by_child(int& status, Body body) {
    test::temporary_file const said(0);
    status = test::in_child([&] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::dup2(said.fd(), STDERR_FILENO);
        body();
        return 0;
    });
    char text[1024] = {};
    (void)!::pread(said.fd(), text, sizeof text - 1, 0);
    return text;
}

} // namespace

TEST_CASE("a scope that is destroyed before its loop has its requests complete first, with the kernel's results") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    {
        owner one(loop, results);
        bool const flushed = GENERATE(false, true);
        for (int i = 0; i < 3; ++i) one.read();
        if (flushed) loop.flush();
        CHECK(one.scope.pending() == 3);
        CHECK(results.empty());
    }
    CHECK(results == std::vector<std::int64_t>(3, 64));
    CHECK(loop.in_flight() + loop.queued() == 0);
}

TEST_CASE("a scope waits for ten thousand requests on a loop with room for eight") {
    std::vector<std::int64_t> results;
    kaio::loop loop(8);
    {
        owner one(loop, results);
        for (int i = 0; i < 10'000; ++i) one.read();
        CHECK(one.scope.pending() == 10'000);
    }
    CHECK(results == std::vector<std::int64_t>(10'000, 64));
}

TEST_CASE("destroying a scope cancels its polls and timers, wherever they wait, and no others") {
    test::silent_eventfd event;
    std::vector<std::int64_t> results, others;
    auto const other = [&](kaio::io_result r) { others.push_back(r.res()); };
    kaio::loop loop(6);
    {
        owner one(loop, results);
        loop.submit(kaio::poll(event.fd, POLLIN), other);
        loop.submit(kaio::after(1h), other);
        one.scope.submit(kaio::poll(event.fd, POLLIN), one.note());
        one.scope.submit(kaio::after(1h), one.note());
        one.scope.submit(kaio::after(kaio::duration()), one.note());
        auto const large = [&one, padding = std::array<char, 100>{}](kaio::io_result r) {
            one.results.push_back(r.res() + padding[0]); // too large for the slab
        };
        one.scope.submit(kaio::poll(event.fd, POLLIN), large);
        loop.flush(); // the polls are in flight
        one.scope.submit(kaio::poll(event.fd, POLLIN), one.note());
        one.scope.submit(kaio::after(1h), large);
    }
    CHECK(results == std::vector<std::int64_t>(6, -ECANCELED));
    CHECK(others.empty());
    CHECK(loop.in_flight() == 1);
    CHECK(loop.timers() == 1);
}

TEST_CASE("polls and timers that have completed are forgotten, in whatever order") {
    test::silent_eventfd event;
    std::vector<std::int64_t> results;
    kaio::loop loop(8);
    {
        owner one(loop, results);
        one.scope.submit(kaio::poll(event.fd, POLLIN), one.note());
        one.scope.submit(kaio::after(20ms), one.note());
        one.scope.submit(kaio::after(0ms), one.note());
        one.scope.submit(kaio::after(1h), one.note());
        one.scope.submit(kaio::after(10ms), one.note());
        while (results.size() != 3) loop.run_one();
        CHECK(results == std::vector<std::int64_t>(3, 0));
        CHECK(one.scope.pending() == 2);
        ::eventfd_write(event.fd, 1);
        loop.run_one();
        CHECK(results.back() == POLLIN);
    }
    CHECK(results.size() == 5);
    CHECK(results.back() == -ECANCELED);
}

TEST_CASE("a scope that a timer's handler closes cancels nothing that the handler submits to the loop") {
    kaio::loop loop(4);
    kaio::request_scope scope(loop);
    std::int64_t other = 1;
    auto const close = [&] {
        loop.submit(kaio::after(0ms), [&](kaio::io_result r) { other = r.res(); }); // where the timer was, in the slab
        scope.close();
    };
    if (GENERATE(false, true))
        scope.submit(kaio::after(0ms), [&close](kaio::io_result) { close(); });
    else
        scope.submit(kaio::after(0ms), [&close, padding = std::array<char, 100>{}](kaio::io_result) {
            if (padding[0] == 0) close();
        });
    loop.run();
    CHECK(other == 0);
}

TEST_CASE("a scope waits for whole transfers to their end") {
    test::script script;
    test::temporary_file file(100'000);
    std::vector<char> buffer(100'000);
    std::size_t bytes = 0;
    test::scripted_loop loop(2, {}, test::scripted_kernel(script));
    {
        kaio::basic_request_scope scope(loop);
        scope.submit(kaio::fully(kaio::read(file, buffer, 0)), [&](kaio::transfer_result r) { bytes = r.bytes(); });
    }
    CHECK(bytes == 100'000);
}

TEST_CASE("what is submitted through a closed scope completes with ECANCELED, and the kernel never has it") {
    test::script script;
    test::silent_eventfd event;
    std::vector<std::int64_t> results;
    test::scripted_loop loop(2, {}, test::scripted_kernel(script));
    basic_owner<test::scripted_loop> one(loop, results);
    CHECK(!one.scope.is_closed());
    one.scope.close();
    one.scope.close(); // once more does nothing
    CHECK(one.scope.is_closed());
    int whole = 0;
    for (int round = 0; round < 5; ++round) {
        one.read();
        one.scope.submit(kaio::poll(event.fd, POLLIN), one.note());
        one.scope.submit(kaio::after(0ms), one.note());
        one.scope.submit(kaio::fully(kaio::read(one.file, one.buffer, 0)),
                         [&](kaio::transfer_result r) { whole += r.error().value() == ECANCELED; });
    }
    CHECK(results.empty()); // no handler is called by submit
    CHECK(loop.run() == 20);
    CHECK(results == std::vector<std::int64_t>(15, -ECANCELED));
    CHECK(whole == 5);
    CHECK(script.submits == 0);
    CHECK(one.scope.pending() == 0);
}

TEST_CASE("a closed scope completes more than the slab had room for") {
    std::vector<std::int64_t> results;
    kaio::loop loop(1);
    owner one(loop, results);
    one.scope.close();
    for (int i = 0; i < 100; ++i) one.read();
    loop.run();
    CHECK(results == std::vector<std::int64_t>(100, -ECANCELED));
}

TEST_CASE("a handler that submits more through a scope that is being destroyed gets ECANCELED for it") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    {
        owner one(loop, results);
        one.scope.submit(kaio::read(one.file, one.buffer, 0), [&](kaio::io_result r) {
            one.results.push_back(r.res());
            one.read();
            one.scope.submit(kaio::after(1h), one.note());
        });
    }
    CHECK(results == std::vector<std::int64_t>{64, -ECANCELED, -ECANCELED});
}

TEST_CASE("a scope may be destroyed in a handler of another object, and its requests complete there") {
    std::vector<std::int64_t> results;
    test::silent_eventfd event;
    kaio::loop loop(4);
    auto one = std::make_optional<owner>(loop, results);
    std::size_t then = 0;
    one->scope.submit(kaio::after(1h), one->note());
    one->scope.submit(kaio::poll(event.fd, POLLIN), one->note());
    int const which = GENERATE(0, 1, 2);
    auto const destroy = [&](auto...) {
        for (int i = 0; i < 20; ++i) one->read();
        one.reset();
        then = results.size();
    };
    if (which == 0) loop.submit(kaio::after(0ms), destroy);
    if (which == 1) loop.submit(kaio::poll(-1, POLLIN), destroy);
    if (which == 2) loop.post(destroy);
    for (int i = 0; i < 3; ++i) one->read(); // some complete in the same turn as the handler
    loop.run();
    CHECK(then == 25);
    CHECK(results.size() == 25);
}

TEST_CASE("a handler of the scope's own may destroy it, as the last or with others in flight") {
    kaio::loop loop(4);
    int const others = GENERATE(0, 5);
    std::vector<std::int64_t> results;
    auto* const one = new owner(loop, results);
    bool const timer = GENERATE(false, true);
    if (timer)
        one->scope.submit(kaio::after(0ms), [one](kaio::io_result) { delete one; });
    else
        one->scope.submit(kaio::read(one->file, one->buffer, 0), [one](kaio::io_result) { delete one; });
    for (int i = 0; i < others; ++i) one->read();
    loop.run();
    CHECK(results == std::vector<std::int64_t>(static_cast<std::size_t>(others), 64));
}

TEST_CASE("a scope that is destroyed inside a handler leaves a stop() to the run that it is meant for") {
    test::silent_eventfd event;
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    auto one = std::make_optional<owner>(loop, results);
    loop.submit(kaio::poll(event.fd, POLLIN), [](kaio::io_result) {}); // never
    bool const before = GENERATE(false, true);
    loop.submit(kaio::after(0ms), [&](kaio::io_result) {
        if (before) loop.stop();
        one->scope.submit(kaio::read(one->file, one->buffer, 0), [&](kaio::io_result) { loop.stop(); });
        one->read();
        one.reset();
        CHECK(results.size() == 1);
    });
    auto const started = std::chrono::steady_clock::now();
    loop.run_for(10s);
    CHECK(std::chrono::steady_clock::now() - started < 5s);
    CHECK(loop.in_flight() == 1);
}

TEST_CASE("what handlers throw while a scope is destroyed leaves the loop's next runs, one exception each, in order") {
    test::temporary_file file(64);
    std::vector<char> buffer(64);
    kaio::loop loop(4);
    int called = 0;
    {
        kaio::request_scope scope(loop);
        for (int i = 0; i < 3; ++i)
            scope.submit(kaio::read(file, buffer, 0), [&, i](kaio::io_result) {
                ++called;
                throw std::runtime_error("scope " + std::to_string(i));
            });
        loop.submit(kaio::after(0ms), [&](kaio::io_result) {
            ++called;
            throw std::runtime_error("another's");
        });
        scope.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { ++called; });
    }
    CHECK(called == 5);
    std::vector<std::string> thrown;
    while (loop.timers() + loop.in_flight() != 0) {
        try {
            loop.run();
        } catch (const std::runtime_error& error) {
            thrown.emplace_back(error.what());
        }
    }
    REQUIRE(thrown.size() == 4);
    std::erase(thrown, "another's");
    CHECK(thrown == std::vector<std::string>{"scope 0", "scope 1", "scope 2"});
}

TEST_CASE("what handlers throw while a scope is destroyed is dropped if the loop is destroyed next") {
    test::temporary_file file(64);
    std::vector<char> buffer(64);
    int called = 0;
    {
        kaio::loop loop(4);
        kaio::request_scope scope(loop);
        scope.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
            ++called;
            throw std::runtime_error("dropped");
        });
    }
    CHECK(called == 1);
}

TEST_CASE("a scope that is destroyed by an exception still completes its requests") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    auto const leave = [&] {
        owner one(loop, results);
        one.read();
        throw std::runtime_error("leave");
    };
    CHECK_THROWS_WITH(leave(), "leave");
    CHECK(results == std::vector<std::int64_t>{64});
}

TEST_CASE("on_closed is called once, in a later turn, when the scope is closed and empty") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    owner one(loop, results);
    int calls = 0;
    one.scope.on_closed([&] {
        ++calls;
        CHECK(results.size() == 2);
        CHECK(one.scope.pending() == 0);
    });
    loop.run(); // does not wait for it
    CHECK(calls == 0);
    one.read();
    one.scope.submit(kaio::after(1h), one.note());
    one.scope.close();
    CHECK(calls == 0);
    loop.run();
    CHECK(calls == 1);
    one.scope.on_closed([&] { ++calls; }); // it is closed already
    one.scope.on_closed([&calls, padding = std::array<char, 100>{}] { calls += 1 + padding[0]; });
    CHECK(calls == 1);
    loop.run();
    CHECK(calls == 3);
}

TEST_CASE("a handler runs to its end before on_closed is called") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    owner one(loop, results);
    bool inside = false, closed = false;
    one.scope.on_closed([&] {
        closed = true;
        CHECK(!inside);
    });
    one.scope.submit(kaio::read(one.file, one.buffer, 0), [&](kaio::io_result) {
        inside = true;
        one.scope.close();
        inside = false;
    });
    loop.run();
    CHECK(closed);
}

TEST_CASE("on_closed may destroy the scope, with others that wait for the same") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    auto one = std::make_optional<owner>(loop, results);
    std::vector<int> calls;
    one->scope.on_closed([&] {
        calls.push_back(1);
        one.reset();
        calls.push_back(3);
    });
    one->scope.on_closed([&] { calls.push_back(2); });
    one->read();
    one->scope.close();
    loop.run();
    CHECK(calls == std::vector<int>{1, 2, 3});
}

TEST_CASE("destroying a scope calls on_closed") {
    int calls = 0;
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    {
        owner one(loop, results);
        one.scope.on_closed([&] { ++calls; });
        if (GENERATE(false, true)) one.read();
    }
    CHECK(calls == 1);
}

TEST_CASE("a scope that is held waits for a thread's post, also if the loop is to stop") {
    kaio::loop loop(4);
    bool posted = false;
    std::thread helper;
    bool const in_handler = GENERATE(false, true);
    auto const work = [&] {
        kaio::request_scope scope(loop);
        scope.hold();
        helper = std::thread([&] {
            std::this_thread::sleep_for(5ms);
            loop.post([&] {
                posted = true;
                scope.release();
            });
        });
    };
    if (in_handler) {
        loop.submit(kaio::after(0ms), [&](kaio::io_result) {
            loop.stop();
            work();
        });
        loop.run();
    } else {
        work();
    }
    CHECK(posted);
    helper.join();
}

TEST_CASE("a poll that can't be cancelled is tried again") {
    test::script script;
    script.cancel[1] = script.cancel[2] = -EINVAL;
    test::silent_eventfd event;
    std::int64_t heard = 0;
    test::scripted_loop loop(2, {}, test::scripted_kernel(script));
    {
        kaio::basic_request_scope scope(loop);
        scope.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { heard = r.res(); });
        loop.flush();
    }
    CHECK(heard == -ECANCELED);
    CHECK(script.cancels == 3);
}

TEST_CASE("requests that io_submit refuses, and a kernel without room, keep no scope from its end") {
    test::script script;
    script.submit = {{1, -EAGAIN}, {2, -EBADF}, {3, -EAGAIN}, {5, -EINVAL}};
    script.most_at_once = 1;
    std::vector<std::int64_t> results;
    test::scripted_loop loop(3, {}, test::scripted_kernel(script));
    {
        basic_owner<test::scripted_loop> one(loop, results);
        for (int i = 0; i < 6; ++i) one.read();
    }
    CHECK(results.size() == 6);
    CHECK(std::count(results.begin(), results.end(), 64) == 4);
}

TEST_CASE("a few errors of the wait keep no scope from its end, and a loop that never runs ends the program") {
    test::silent_eventfd event;
    test::script script;
    bool const forever = GENERATE(false, true);
    for (unsigned i = 1; i < (forever ? 100u : 5u); ++i) script.getevents[i] = -EFAULT;
    script.before_getevents = [&] { ::eventfd_write(event.fd, 1); };
    int status = 0;
    auto const text = said_by_child(status, [&] {
        std::uint64_t value = 0; // before the scope, which waits for the read into it
        auto options = test::reaped_by(kaio::reaping::syscall);
        options.spin_limit = kaio::duration::zero();
        test::scripted_loop loop(2, options, test::scripted_kernel(script));
        kaio::basic_request_scope scope(loop);
        scope.submit(kaio::read(event.fd, kaio::view<std::uint64_t>(&value, 1), 0), [](kaio::io_result) {});
        ::eventfd_write(event.fd, 1);
        loop.flush();
    });
    if (forever) {
        CHECK(status == 1000 + SIGABRT);
        CHECK_THAT(text, test::ContainsSubstring("a request_scope can't be destroyed"));
    } else {
        CHECK(status == 0);
    }
}

TEST_CASE("a forked child may destroy a scope: nothing is waited for, and no handler runs") {
    test::silent_eventfd event;
    std::vector<std::int64_t> results;
    auto loop = std::make_unique<kaio::loop>(4);
    auto one = std::make_unique<owner>(*loop, results);
    one->scope.submit(kaio::poll(event.fd, POLLIN), one->note());
    one->scope.submit(kaio::after(1h), one->note());
    one->scope.on_closed([] {});
    one->read();
    loop->flush();
    CHECK(test::in_child([&] {
              one.reset();
              loop.reset();
              return static_cast<int>(results.size());
          }) == 0);
    one.reset();
    CHECK(results.size() == 3);
}

TEST_CASE("a scope submits to a simulated kernel as to the real one") {
    kaio::sim::world world(GENERATE(range(1u, 20u)), {.io_errors = 0.1, .no_room = 0.3, .interrupts = 0.3});
    auto const file = world.open("file");
    std::vector<std::byte> buffer(4096);
    int completed = 0, cancelled = 0;
    kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
    {
        kaio::basic_request_scope scope(loop);
        auto const note = [&](kaio::io_result r) { ++(r.res() == -ECANCELED ? cancelled : completed); };
        for (int i = 0; i < 50; ++i) scope.submit(kaio::write(file, buffer, i * 4096), note);
        for (int i = 0; i < 10; ++i) scope.submit(kaio::after(1h), note);
        loop.poll();
    }
    CHECK(completed == 50);
    CHECK(cancelled == 10);
}

TEST_CASE("a submit that is refused is not counted") {
    kaio::loop source(2);
    kaio::loop moved(std::move(source));
    kaio::request_scope scope(source); // NOLINT: a loop that was moved from refuses everything
    test::temporary_file file(64);
    std::vector<char> buffer(64);
    CHECK_THROWS_WITH(scope.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {}),
                      test::ContainsSubstring("request_scope"));
    CHECK(scope.try_submit(kaio::after(1h), [](kaio::io_result) {}).error().value() == EINVAL);
    CHECK(scope.try_on_closed([] {}).error().value() == EINVAL);
    CHECK(scope.pending() == 0);
}

#ifndef NDEBUG
TEST_CASE("a loop that is destroyed or moved before its scope ends the program with a message, in a debug build") {
    int status = 0;
    bool const moves = GENERATE(false, true);
    auto const text = said_by_child(status, [&] {
        auto loop = std::make_unique<kaio::loop>(2);
        kaio::request_scope scope(*loop);
        if (moves)
            kaio::loop const other(std::move(*loop));
        else
            loop.reset();
    });
    CHECK(status == 1000 + SIGABRT);
    CHECK_THAT(text,
               test::ContainsSubstring(moves ? "moved while a request_scope" : "destroyed before a request_scope"));
}
#endif
