#include "support/catch.hpp"

#include <chrono>

#include <kaio/loop/detail/spin_budget.hpp>

using namespace std::chrono_literals;

namespace {
// A device and a loop in simulated time. A completion takes `spinning` or `sleeping` ns, depending on what the budget
// says. Something else on the machine takes `stall` ns every 10 ms.
struct simulation {
    std::int64_t time = 1;
    unsigned completed = 0;

    // Returns the share of time that was spent spinning, after the budget had time to learn.
    double spun(kaio::detail::spin_budget& budget, std::int64_t spinning, std::int64_t sleeping,
                std::int64_t stall = 0) {
        std::int64_t const start = time, counted = start + 2'000'000'000, end = start + 8'000'000'000;
        std::int64_t spins = 0, stalled = start;
        while (time < end) {
            budget.wait_begins(time, completed);
            bool const spins_now = budget.ns() > 0;
            std::int64_t const before = time;
            time += spins_now ? spinning : sleeping;
            if (spins_now && time > counted) spins += time - before;
            if (!spins_now) budget.slept(sleeping);
            if (time - stalled > 10'000'000) stalled = time += stall;
            ++completed;
        }
        return static_cast<double>(spins) / static_cast<double>(time - counted);
    }
};
} // namespace

TEST_CASE("the budget stays within the user's limit: none, some, or unlimited") {
    kaio::detail::spin_budget never(kaio::duration::zero()), always{kaio::duration()}, some(50us);
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
    kaio::detail::spin_budget budget(100us);
    for (int i = 0; i < 20; ++i) budget.slept(5'000'000);
    CHECK(budget.ns() == 0);
    budget.slept(50'000);
    CHECK(budget.ns() > 0);
    for (int i = 0; i < 20; ++i) budget.slept(50'000);
    CHECK(budget.ns() == 100'000);
}

TEST_CASE("it spins where spinning pays, sleeps where it does not, and notices when that changes") {
    kaio::detail::spin_budget budget(100us);
    simulation device;
    CHECK(device.spun(budget, 5'000, 8'000) > 0.95);
    CHECK(device.spun(budget, 8'000, 5'000) < 0.05);
    CHECK(device.spun(budget, 5'000, 8'000) > 0.95);
    CHECK(device.spun(budget, 5'000, 5'100) < 0.05); // not worth a processor
}

TEST_CASE("a burst of 20 ms is long enough to settle") {
    for (bool const spinning_pays : {true, false}) {
        kaio::detail::spin_budget budget(100us);
        std::int64_t time = 1, right = 0;
        for (unsigned completed = 0; time < 20'000'000; ++completed) {
            budget.wait_begins(time, completed);
            bool const spins = budget.ns() > 0;
            std::int64_t const took = spins == spinning_pays ? 20'000 : 30'000;
            time += took;
            if (spins == spinning_pays) right += took;
        }
        CHECK(static_cast<double>(right) / static_cast<double>(time) > 0.75);
    }
}

TEST_CASE("a disturbance now and then does not change what it does") {
    kaio::detail::spin_budget budget(100us);
    simulation device;
    CHECK(device.spun(budget, 5'000, 8'000, 3'000'000) > 0.6); // of all the time, in which a quarter was lost
    CHECK(device.spun(budget, 8'000, 5'000, 3'000'000) < 0.05);
}

TEST_CASE("trying what is far slower costs little") {
    kaio::detail::spin_budget budget(100us);
    simulation device;
    CHECK(device.spun(budget, 500'000, 10'000) < 0.02);
}

TEST_CASE("it stops spinning soon when that becomes slow") {
    kaio::detail::spin_budget budget(100us);
    simulation device;
    device.spun(budget, 5'000, 8'000);
    std::int64_t const start = device.time;
    while (budget.ns() > 0 && device.time < start + 1'000'000'000) {
        budget.wait_begins(device.time, device.completed++);
        device.time += 300'000;
    }
    CHECK(device.time - start < 50'000'000);
}
