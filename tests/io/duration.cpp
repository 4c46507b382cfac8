#include "support/catch.hpp"

#include <chrono>

#include <kaio/io/duration.hpp>

using namespace std::chrono_literals;

static_assert(kaio::duration(100ms).ns() == 100'000'000);
static_assert(kaio::duration().is_unlimited());

TEST_CASE("every duration becomes nanoseconds, rounded up and limited to the range") {
    CHECK(kaio::duration(3s).ns() == 3'000'000'000);
    CHECK(kaio::duration(1ns).ns() == 1);
    CHECK(kaio::duration(2h).ns() == 7'200'000'000'000);
    CHECK(kaio::duration(0s).ns() == 0);
    CHECK(kaio::duration(-5s).ns() == 0);
    CHECK(kaio::duration(std::chrono::duration<double>(0.25)).ns() == 250'000'000);
    CHECK(kaio::duration(std::chrono::duration<std::int64_t, std::pico>(1)).ns() == 1);
    CHECK(kaio::duration(std::chrono::duration<std::int64_t, std::pico>(1001)).ns() == 2);
    CHECK(kaio::duration(std::chrono::nanoseconds::max()).is_unlimited());
    CHECK(kaio::duration(std::chrono::hours::max()).is_unlimited());
    CHECK(kaio::duration(24h * 365 * 200).ns() == 6'307'200'000'000'000'000);
    CHECK(kaio::duration::zero().ns() == 0);
    CHECK(kaio::duration::from_ns(5).ns() == 5);
}
