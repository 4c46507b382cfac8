#include "support/catch.hpp"

#include <chrono>

#include <kaio/loop/poll_budget.hpp>

using namespace std::chrono_literals;

namespace {
// A device and a loop in simulated time: a completion takes `polling` or `sleeping` ns, depending on what the budget
// says. `stall` ns are lost every 10 ms, to something else on the machine.
struct simulation {
    std::int64_t time = 1;
    unsigned completed = 0;

    // The share of time that was spent polling, after it had time to learn.
    double polled(kaio::poll_budget& budget, std::int64_t polling, std::int64_t sleeping, std::int64_t stall = 0) {
        std::int64_t const start = time, counted = start + 2'000'000'000, end = start + 8'000'000'000;
        std::int64_t polls = 0, stalled = start;
        while (time < end) {
            budget.waiting(time, completed);
            bool const polls_now = budget.ns() > 0;
            std::int64_t const before = time;
            time += polls_now ? polling : sleeping;
            if (polls_now && time > counted) polls += time - before;
            if (!polls_now) budget.slept(sleeping);
            if (time - stalled > 10'000'000) stalled = time += stall;
            ++completed;
        }
        return static_cast<double>(polls) / static_cast<double>(time - counted);
    }
};
} // namespace

TEST_CASE("the budget stays within the user's limit: none, some, or without end") {
    kaio::poll_budget never(kaio::duration::zero()), always{kaio::duration()}, some(50us);
    for (int i = 0; i < 100; ++i) {
        never.slept(10);
        always.slept(1'000'000'000);
        some.slept(10);
        REQUIRE(some.ns() <= 50'000);
    }
    CHECK(never.ns() == 0);
    CHECK(always.ns() == kaio::duration::unlimited);
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
    simulation device;
    CHECK(device.polled(budget, 5'000, 8'000) > 0.95);
    CHECK(device.polled(budget, 8'000, 5'000) < 0.05);
    CHECK(device.polled(budget, 5'000, 8'000) > 0.95);
    CHECK(device.polled(budget, 5'000, 5'100) < 0.05); // not worth a processor
}

TEST_CASE("a disturbance now and then does not change what it does") {
    kaio::poll_budget budget(100us);
    simulation device;
    CHECK(device.polled(budget, 5'000, 8'000, 3'000'000) > 0.6); // of all the time, in which a quarter was lost
    CHECK(device.polled(budget, 8'000, 5'000, 3'000'000) < 0.05);
}

TEST_CASE("trying what is far slower costs little") {
    kaio::poll_budget budget(100us);
    simulation device;
    CHECK(device.polled(budget, 500'000, 10'000) < 0.02);
}

TEST_CASE("it stops polling soon when that becomes slow") {
    kaio::poll_budget budget(100us);
    simulation device;
    device.polled(budget, 5'000, 8'000);
    std::int64_t const start = device.time;
    while (budget.ns() > 0 && device.time < start + 1'000'000'000) {
        budget.waiting(device.time, device.completed++);
        device.time += 300'000;
    }
    CHECK(device.time - start < 50'000'000);
}
