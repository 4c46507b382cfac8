#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <chrono>
#include <thread>
#include <vector>

#include <kaio/coro/yield.hpp>

using namespace std::chrono_literals;

namespace {

template <class Loop> kaio::task<int> yield_until(Loop& loop, const bool& done, int most = 1'000'000'000) {
    int turns = 0;
    for (; turns < most && !done; ++turns) {
        bool const goes_on = bool(co_await kaio::yield(loop));
        if (!goes_on) break;
    }
    co_return turns;
}

} // namespace

TEST_CASE("coroutines that yield take turns in one order") {
    kaio::loop loop(4);
    std::vector<int> order;
    auto const work = [&](int number) -> kaio::task<> {
        for (int i = 0; i < 3; ++i) {
            order.push_back(10 * i + number);
            co_await kaio::yield(loop);
        }
    };
    for (int number = 0; number < 3; ++number) kaio::spawn(loop, work(number));
    loop.run();
    CHECK(order == std::vector<int>{0, 1, 2, 10, 11, 12, 20, 21, 22});
}

TEST_CASE("a coroutine that always yields lets requests, timers and posts have their turn, in run, run_one and poll") {
    test::temporary_file file(4096);
    std::array<char, 64> buffer{};
    for (int how = 0; how < 3; ++how) {
        kaio::loop loop(4);
        bool read = false, expired = false, posted = false, all = false;
        auto const note = [&](bool& what) { what = true, all = read && expired && posted; };
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { note(read); });
        loop.submit(kaio::after(1ms), [&](kaio::io_result) { note(expired); });
        loop.post([&] { note(posted); });
        int turns = 0;
        auto const work = [](kaio::loop& l, const bool& done, int& out) -> kaio::task<> {
            out = co_await yield_until(l, done);
        };
        kaio::spawn(loop, work(loop, all, turns));
        if (how == 0) loop.run();
        while (how != 0 && turns == 0) how == 1 ? loop.run_one() : loop.poll();
        CHECK(all);
        CHECK(turns > 0);
    }
}

TEST_CASE("another thread's post comes through to a loop in which a coroutine always yields") {
    kaio::loop loop(4);
    bool done = false;
    std::thread other([&] {
        std::this_thread::sleep_for(2ms);
        loop.post([&] { done = true; });
    });
    CHECK(kaio::sync_wait(loop, yield_until(loop, done)) > 0);
    other.join();
}

TEST_CASE("a million yields do not grow the stack, and the loop does not sleep or call the kernel for them") {
    test::script script;
    kaio::basic_loop<test::scripted_kernel> loop(4, {}, test::scripted_kernel(script));
    bool const never = false;
    CHECK(kaio::sync_wait(loop, yield_until(loop, never, 1'000'000)) == 1'000'000);
    CHECK(script.submits + script.waits + script.masked_waits + script.cancels + script.relaxes == 0);
}

TEST_CASE("a yield says that the loop is being destroyed") {
    int turns = -1;
    bool const never = false;
    {
        kaio::loop loop(4);
        auto const work = [](kaio::loop& l, const bool& done, int& out) -> kaio::task<> {
            out = co_await yield_until(l, done);
        };
        kaio::spawn(loop, work(loop, never, turns));
        for (int i = 0; i < 5; ++i) loop.poll();
    }
    CHECK(turns >= 1);
}
