#include "loop/loops.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("try_make gives the error that the constructor throws, and makes do with less if told so") {
    CHECK(kaio::loop::try_make(0).error().value() == EINVAL);
    CHECK_THROWS_WITH(kaio::loop(0), test::ContainsSubstring("io_setup(0)"));
    test::script script;
    script.setup[1] = script.setup[2] = -EAGAIN;
    auto loop = test::scripted_loop::try_make(64, {.setup = {.at_least = 10}}, test::scripted_kernel(script));
    REQUIRE(loop);
    CHECK(loop->capacity() == 15); // (64 + 1) / 2 / 2, of which one is post's
    CHECK(loop->poll() == 0);
}

TEST_CASE("a loop that was moved from refuses to run, and cancels what is submitted to it") {
    std::int64_t result = 0;
    kaio::owned_operation op([&](kaio::io_result r) { result = r.res(); });
    {
        kaio::loop first(4);
        kaio::loop second(std::move(first));
        CHECK(second.capacity() == 4);
        CHECK(first.capacity() == 0);
        std::vector<char> buffer(64);
        auto const request = kaio::read(0, buffer, 0);
        CHECK(first.try_submit(request, [](kaio::io_result) {}).error().value() == EINVAL);
        CHECK_THROWS_WITH(first.submit(request, [](kaio::io_result) {}), test::ContainsSubstring("moved from"));
        first.submit(request, op);
        CHECK(first.try_poll().error().value() == EINVAL);
        CHECK(first.try_run().error().value() == EINVAL);
        CHECK_THROWS_AS(first.run_for(1ms), std::system_error);
    }
    CHECK(result == -ECANCELED);
}
