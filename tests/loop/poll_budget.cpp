#include "support/catch.hpp"

#include <chrono>

#include <kaio/loop/poll_budget.hpp>

using namespace std::chrono_literals;

namespace {
// A device and a loop in simulated time: a completion takes `polling` or `sleeping` ns, depending on what the budget
// says. Returns the share of completions that were polled for, after it had time to learn.
double polled(kaio::poll_budget& budget, std::int64_t polling, std::int64_t sleeping) {
    static std::int64_t time = 1; // goes on over calls, as a clock does
    static unsigned completed = 0;
    int polls = 0;
    constexpr int rounds = 200'000, counted = 100'000;
    for (int i = 0; i < rounds; ++i) {
        budget.waiting(time, completed);
        bool const polls_now = budget.ns() > 0;
        time += polls_now ? polling : sleeping;
        if (!polls_now) budget.slept(sleeping);
        if (polls_now && i >= rounds - counted) ++polls;
        ++completed;
    }
    return static_cast<double>(polls) / counted;
}
} // namespace

TEST_CASE("the budget stays within the user's limit: none, some, or without end") {
    kaio::poll_budget never(kaio::timeout::zero()), always{kaio::timeout()}, some(50us);
    for (int i = 0; i < 100; ++i) {
        never.slept(10);
        always.slept(1'000'000'000);
        some.slept(10);
        REQUIRE(some.ns() <= 50'000);
    }
    CHECK(never.ns() == 0);
    CHECK(always.ns() == kaio::timeout::unlimited);
    CHECK(some.ns() == 50'000);
}

TEST_CASE("waits that are longer than the limit shrink it to nothing, shorter ones grow it again") {
    kaio::poll_budget budget(100us);
    for (int i = 0; i < 20; ++i) budget.slept(5'000'000);
    CHECK(budget.ns() == 0);
    budget.slept(50'000);
    CHECK(budget.ns() > 0);
    for (int i = 0; i < 20; ++i) budget.slept(50'000);
    CHECK(budget.ns() == 100'000);
}

TEST_CASE("it polls where polling pays, sleeps where it does not, and notices when that changes") {
    kaio::poll_budget budget(100us);
    CHECK(polled(budget, 5'000, 8'000) > 0.9);
    CHECK(polled(budget, 8'000, 5'000) < 0.1);
    CHECK(polled(budget, 5'000, 8'000) > 0.9);
    CHECK(polled(budget, 5'000, 5'100) < 0.1); // not worth a processor
}
