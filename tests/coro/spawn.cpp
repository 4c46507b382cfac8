#include "coro/tasks.hpp"
#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("run waits for spawned tasks") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    std::size_t bytes = 0;
    auto const reader = [](kaio::loop& l, const test::temporary_file& f, std::size_t& sum) -> kaio::task<> {
        for (int i = 0; i < 10; ++i) sum += co_await test::read_some(l, f, i);
    };
    for (int i = 0; i < 20; ++i) kaio::spawn(loop, reader(loop, file, bytes));
    loop.run();
    CHECK(bytes == 20 * 10 * 64);
}

TEST_CASE("what a spawned task returns is dropped, what it throws leaves run, and the others go on") {
    kaio::loop loop(4);
    kaio::spawn(loop, test::value(3));
    kaio::spawn(loop, test::thrower("spawned"));
    kaio::spawn(loop, test::after_a_while(loop, 1, 2ms));
    CHECK_THROWS_WITH(loop.run(), "spawned");
    auto const started = std::chrono::steady_clock::now();
    loop.run();
    CHECK(std::chrono::steady_clock::now() - started < 10s);
    CHECK(loop.timers() == 0);
}

TEST_CASE("destroying a loop finishes spawned tasks: their requests complete or are cancelled") {
    std::vector<std::int64_t> results;
    test::temporary_file file(4096);
    auto const work = [](kaio::loop& l, const test::temporary_file& f, std::vector<std::int64_t>& out) -> kaio::task<> {
        std::vector<char> buffer(64);
        out.push_back((co_await l.submit(kaio::read(f, buffer, 0))).res());
        out.push_back((co_await l.sleep_for(1h)).res());
        out.push_back((co_await l.submit(kaio::read(f, buffer, 0))).res());
    };
    {
        kaio::loop loop(4);
        kaio::spawn(loop, work(loop, file, results));
        loop.poll();
        CHECK(loop.timers() == 1);
    }
    CHECK(results == std::vector<std::int64_t>{64, -ECANCELED, -ECANCELED});
}

TEST_CASE("what a spawned task throws while its loop is destroyed is dropped") {
    bool reached = false;
    auto const work = [](kaio::loop& l, bool& there) -> kaio::task<> {
        kaio::io_result const r = co_await l.sleep_for(1h);
        there = true;
        if (!r) throw std::system_error(r.error());
    };
    {
        kaio::loop loop(4);
        kaio::spawn(loop, work(loop, reached));
        loop.poll();
    }
    CHECK(reached);
}

namespace {

// A task of an object that may go before its loop.
struct server {
    kaio::aligned_buffer buffer{64};
    test::temporary_file file{4096};
    std::vector<std::int64_t>& results;
    kaio::request_scope scope;

    server(kaio::loop& loop, std::vector<std::int64_t>& heard) : results(heard), scope(loop) {}

    kaio::task<> serve() {
        results.push_back((co_await scope.submit(kaio::read(file, buffer, 0))).res());
        kaio::transfer_result const all = co_await scope.submit(kaio::fully(kaio::read(file, buffer, 0)));
        results.push_back(static_cast<std::int64_t>(all.bytes()));
        results.push_back((co_await scope.submit(kaio::poll(event.fd, POLLIN))).res());
        results.push_back((co_await scope.sleep_for(1h)).res());
        results.push_back((co_await scope.submit(kaio::read(file, buffer, 0))).res());
        results.push_back((co_await scope.loop().submit(kaio::read(file, buffer, 0))).res());
    }
    test::silent_eventfd event{};
};

} // namespace

TEST_CASE("destroying a scope ends its tasks: what waits through the scope is cancelled, what they do else is done") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    int const how_far = GENERATE(0, 1, 2);
    {
        server one(loop, results);
        kaio::spawn(one.scope, one.serve());
        CHECK(one.scope.pending() == 2); // the task and its request
        if (how_far != 0)
            for (int i = 0; i < 3; ++i) loop.poll();
        if (how_far == 2) {
            ::eventfd_write(one.event.fd, 1);
            while (loop.timers() == 0) loop.run_one();
        }
    }
    std::int64_t const poll = how_far == 2 ? POLLIN : -ECANCELED;
    if (how_far == 0) {
        // The first read was submitted before the scope was closed.
        CHECK(results == std::vector<std::int64_t>{64, 0, -ECANCELED, -ECANCELED, -ECANCELED, 64});
    } else {
        CHECK(results == std::vector<std::int64_t>{64, 64, poll, -ECANCELED, -ECANCELED, 64});
    }
    CHECK(loop.in_flight() + loop.queued() + loop.timers() == 0);
    loop.run(); // nothing holds it
}

TEST_CASE("run waits for the tasks of a scope, and closing the scope ends that") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    server one(loop, results);
    kaio::spawn(one.scope, one.serve());
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { one.scope.close(); });
    loop.run();
    CHECK(results.size() == 6);
    CHECK(one.scope.pending() == 0);
}

TEST_CASE("a task that is spawned through a closed scope runs, and sees that it is closed") {
    std::vector<std::int64_t> results;
    kaio::loop loop(4);
    server one(loop, results);
    one.scope.close();
    kaio::spawn(one.scope, one.serve());
    loop.run();
    CHECK(results == std::vector<std::int64_t>{-ECANCELED, 0, -ECANCELED, -ECANCELED, -ECANCELED, 64});
}

TEST_CASE("a coroutine can wait until a scope is closed and empty, before that and afterwards") {
    std::vector<std::int64_t> results;
    std::vector<int> steps;
    kaio::loop loop(4);
    auto one = std::make_optional<server>(loop, results);
    auto const wait = [](server& s, std::vector<int>& order, int number) -> kaio::task<> {
        co_await s.scope.closed();
        order.push_back(number);
        co_await s.scope.closed();
        order.push_back(number + 1);
    };
    auto const close = [](kaio::loop& l, std::optional<server>& s, std::vector<int>& order) -> kaio::task<> {
        co_await l.sleep_for(1ms);
        order.push_back(0);
        s->scope.close();
        co_await s->scope.closed();
        order.push_back(3);
        s.reset(); // no task of the scope is left
        order.push_back(4);
    };
    kaio::spawn(loop, wait(*one, steps, 1));
    kaio::spawn(one->scope, one->serve());
    kaio::spawn(loop, close(loop, one, steps));
    loop.run();
    CHECK(results.size() == 6);
    CHECK(steps == std::vector<int>{0, 1, 3, 2, 4});
}

TEST_CASE("what a task of a scope throws leaves a run, also when the scope is destroyed meanwhile") {
    kaio::loop loop(4);
    auto const thrower = [](kaio::request_scope& scope) -> kaio::task<> {
        kaio::io_result const r = co_await scope.sleep_for(1h);
        r.value("sleep");
    };
    {
        kaio::request_scope scope(loop);
        kaio::spawn(scope, thrower(scope));
    }
    CHECK_THROWS_WITH(loop.run(), test::StartsWith("sleep"));
    loop.run();
}

TEST_CASE("a scope does not try to cancel what a coroutine has kept after it had completed") {
    test::script script;
    test::scripted_loop loop(4, {}, test::scripted_kernel(script));
    auto const keeper = [](kaio::basic_request_scope<test::scripted_loop>& scope) -> kaio::task<> {
        auto timer = scope.sleep_for(0ms);
        co_await timer;
        scope.close();
    };
    kaio::basic_request_scope scope(loop);
    kaio::spawn(scope, keeper(scope));
    loop.run();
    CHECK(scope.is_closed());
    CHECK(script.cancels == 0);
}
