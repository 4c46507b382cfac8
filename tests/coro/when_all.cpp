#include "coro/tasks.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("when_all runs tasks side by side, and gives all that they give") {
    kaio::loop loop(4);
    int n = 4;
    auto const started = std::chrono::steady_clock::now();
    auto [a, b, c, d] = kaio::sync_wait(loop, kaio::when_all(test::after_a_while(loop, 1, 20ms), test::nothing_much(),
                                                             test::pointer(3), test::reference(n)));
    CHECK(std::chrono::steady_clock::now() - started >= 20ms);
    CHECK(a == 1);
    CHECK(b == kaio::nothing());
    CHECK(*c == 3);
    CHECK(&d == &n);
    (void)kaio::sync_wait(loop, kaio::when_all());
    auto const [e, f] = kaio::sync_wait(loop, kaio::when_all(test::after_a_while(loop, 5, 0ms), test::reference(n)));
    CHECK(e == 5);
    CHECK(&f == &n);

    std::vector<kaio::task<int>> many;
    for (int i = 0; i < 100; ++i) many.push_back(test::after_a_while(loop, i, std::chrono::milliseconds(i % 7)));
    std::vector<int> const got = kaio::sync_wait(loop, kaio::when_all(std::move(many)));
    std::vector<int> wanted(100);
    std::iota(wanted.begin(), wanted.end(), 0);
    CHECK(got == wanted);
    kaio::sync_wait(loop, kaio::when_all(std::vector<kaio::task<>>()));
}

TEST_CASE("when_all throws the first exception when all have ended") {
    kaio::loop loop(4);
    int ended = 0;
    auto const work = [](kaio::loop& l, int& count, const char* text, kaio::duration delay) -> kaio::task<> {
        co_await l.sleep_for(delay);
        ++count;
        if (text) throw std::runtime_error(text);
    };
    CHECK_THROWS_WITH(
        kaio::sync_wait(loop, kaio::when_all(work(loop, ended, nullptr, 1ms), work(loop, ended, "b", 4ms),
                                             work(loop, ended, "c", 2ms), work(loop, ended, nullptr, 6ms))),
        "b");
    CHECK(ended == 4);
}
