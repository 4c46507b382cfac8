// Durations that reach beyond what a clock can say, and many that end at once.
#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::nanoseconds almost_for_ever{INT64_MAX - 1};

// Whether the loop goes on after a wait that was to last (nearly) for ever.
template <class Limit> bool ends_by_stop(Limit limit) {
    int called = 0;
    kaio::loop loop(4);
    loop.hold();
    loop.submit(kaio::after(2ms), [&](kaio::io_result) { ++called, loop.stop(); });
    loop.run_for(limit);
    loop.release();
    return called == 1;
}

} // namespace

TEST_CASE("a timer of more than the clock can say does not expire, and one of less than nothing does at once") {
    int expired = 0, cancelled = 0;
    auto const note = [&](kaio::io_result r) { ++(r ? expired : cancelled); };
    kaio::loop loop(4);
    loop.submit(kaio::after(std::chrono::hours::max()), note);
    loop.submit(kaio::after(std::chrono::nanoseconds::max()), note);
    loop.submit(kaio::after(almost_for_ever), note);
    loop.submit(kaio::after(std::chrono::duration<double>(1e300)), note);
    loop.submit(kaio::after(std::chrono::duration<double>(std::numeric_limits<double>::infinity())), note);
    loop.run_for(5ms);
    CHECK(expired == 0);

    // Nor does it wake a foreign loop.
    kaio::notifier notifier(loop);
    notifier.poll();
    pollfd watched{notifier.fd(), POLLIN, 0};
    CHECK(::poll(&watched, 1, 5) == 0);
    CHECK(loop.timers() == 5);

    loop.submit(kaio::after(std::chrono::hours::min()), note);
    loop.submit(kaio::after(-1ns), note);
    notifier.poll();
    CHECK(expired == 2);
    CHECK(cancelled == 0);
}

TEST_CASE("a wait of more than the clock can say lasts until something ends it") {
    CHECK(ends_by_stop(std::chrono::hours::max()));
    CHECK(ends_by_stop(std::chrono::nanoseconds::max()));
    CHECK(ends_by_stop(almost_for_ever));
}

TEST_CASE("ten thousand polls whose time limits end at once: each is cancelled, once, waiting or in flight") {
    constexpr int count = 10'000;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    int cancelled = 0, other = 0, in_time = 0;
    auto const note = [&](kaio::io_result r) { ++(r.res() == -ECANCELED ? cancelled : other); };
    using operation = kaio::owned_operation<decltype(note)>;
    std::vector<std::unique_ptr<operation>> polls;
    kaio::loop loop(64); // most of them wait in the loop
    for (int i = 0; i < count; ++i) {
        polls.push_back(std::make_unique<operation>(note));
        loop.submit(kaio::poll(ends[0], POLLIN), *polls.back());
        loop.submit(kaio::after(1ms), [&loop, &in_time, poll = polls.back().get()](kaio::io_result) {
            in_time += bool(loop.cancel(*poll));
        });
    }
    loop.run();
    CHECK(in_time == count);
    CHECK(cancelled == count);
    CHECK(other == 0);
    ::close(ends[0]);
    ::close(ends[1]);
}
