// Durations beyond the range of the clock, and many durations that end at once.
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

constexpr std::chrono::nanoseconds almost_forever{INT64_MAX - 1};

// Returns true if stop() ends a wait that should last (nearly) forever.
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

TEST_CASE("a timer beyond the range of the clock does not expire, and a negative one expires at once") {
    int expired = 0, cancelled = 0;
    auto const note = [&](kaio::io_result r) { ++(r ? expired : cancelled); };
    kaio::loop loop(4);
    loop.submit(kaio::after(std::chrono::hours::max()), note);
    loop.submit(kaio::after(std::chrono::nanoseconds::max()), note);
    loop.submit(kaio::after(almost_forever), note);
    loop.submit(kaio::after(std::chrono::duration<double>(1e300)), note);
    loop.submit(kaio::after(std::chrono::duration<double>(std::numeric_limits<double>::infinity())), note);
    loop.run_for(5ms);
    CHECK(expired == 0);

    // Such timers do not wake another event loop either.
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

TEST_CASE("a wait beyond the range of the clock lasts until something ends it") {
    CHECK(ends_by_stop(std::chrono::hours::max()));
    CHECK(ends_by_stop(std::chrono::nanoseconds::max()));
    CHECK(ends_by_stop(almost_forever));
}

TEST_CASE("ten thousand polls whose time limits end at once are each cancelled once, waiting or in flight") {
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
