// timer: something to submit to a loop that completes when a length of time has passed.
//     loop.submit(kaio::after(100ms), [](kaio::io_result result) { use(result); });
//     co_await loop.submit(kaio::after(100ms)); // or loop.sleep_for(100ms)
// Making one never fails, allocates or makes a system call. Any thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <kaio/io/duration.hpp>

namespace kaio::inline KAIO_BUILD {

// Completes with 0 when `delay` has passed since its submission, never earlier, or with ECANCELED. Without a limit it
// completes only when it is cancelled or its loop is destroyed. The clock is CLOCK_MONOTONIC: setting the time of day
// changes nothing, and the clock stands still while the machine is suspended.
struct [[nodiscard("kaio: a timer does nothing until it is submitted: loop.submit(after(delay), handler)")]] timer {
    duration delay; // from its submission on
};

// A timer of `delay`, which is a std::chrono duration or alike.
constexpr timer after(duration delay) noexcept { return {delay}; }

} // namespace kaio
