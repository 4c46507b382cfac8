#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <cstdint>
#include <system_error>
#include <vector>

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
