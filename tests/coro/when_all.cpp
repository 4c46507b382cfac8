#include "coro/tasks.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("when_all returns what its tasks return, in the order of the arguments") {
    kaio::loop loop(4);
    int n = 4;
    auto [a, b, c, d] = kaio::sync_wait(loop, kaio::when_all(test::after_a_while(loop, 1, 20ms), test::no_value(),
                                                             test::pointer(3), test::reference(n)));
    CHECK(a == 1);
    CHECK(b == kaio::nothing());
    CHECK(*c == 3);
    CHECK(&d == &n);
    auto const [e, f] = kaio::sync_wait(loop, kaio::when_all(test::after_a_while(loop, 5, 0ms), test::reference(n)));
    CHECK(e == 5);
    CHECK(&f == &n);
    (void)kaio::sync_wait(loop, kaio::when_all());
}

TEST_CASE("when_all runs its tasks side by side, and returns when all have finished") {
    kaio::loop loop(4);
    int now = 0, most = 0, finished = 0;
    auto const work = [&](kaio::duration delay) -> kaio::task<> {
        most = std::max(most, ++now);
        co_await loop.sleep_for(delay);
        --now;
        ++finished;
    };
    (void)kaio::sync_wait(loop, kaio::when_all(work(3ms), work(1ms), work(2ms)));
    CHECK(most == 3);
    CHECK(finished == 3);
}

TEST_CASE("when_all of a container returns a container of what its tasks return, in the same order") {
    kaio::loop loop(4);
    std::vector<kaio::task<int>> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(test::after_a_while(loop, i, std::chrono::milliseconds(i % 7)));
    std::vector<int> const returned = kaio::sync_wait(loop, kaio::when_all(std::move(tasks)));
    std::vector<int> expected(100);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(returned == expected);
    kaio::sync_wait(loop, kaio::when_all(std::vector<kaio::task<>>()));
}

TEST_CASE("when_all throws the first exception in the order of the arguments, when all have finished") {
    kaio::loop loop(4);
    int finished = 0;
    auto const work = [](kaio::loop& l, int& count, const char* text, kaio::duration delay) -> kaio::task<> {
        co_await l.sleep_for(delay);
        ++count;
        if (text) throw std::runtime_error(text);
    };
    CHECK_THROWS_WITH(
        kaio::sync_wait(loop, kaio::when_all(work(loop, finished, nullptr, 1ms), work(loop, finished, "b", 4ms),
                                             work(loop, finished, "c", 2ms), work(loop, finished, nullptr, 6ms))),
        "b");
    CHECK(finished == 4);
}
