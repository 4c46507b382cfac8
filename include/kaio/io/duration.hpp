// duration: a length of time, above all how long a wait may take.
//     using namespace std::chrono_literals;
//     loop.run_for(100ms);
//     context.wait(events, 1, kaio::duration::zero());
// It is made from any type with count() and a period, as std::chrono's durations are, so kaio does not include
// <chrono>. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cassert>
#include <cstdint>

namespace kaio {
inline namespace KAIO_BUILD {

class duration {
public:
    // ns() of a duration without a limit.
    static constexpr std::int64_t unlimited = INT64_MAX;

    // Forever.
    constexpr duration() noexcept = default;

    // No time at all.
    static constexpr duration zero() noexcept { return duration(std::int64_t{0}); }

    // `ns` nanoseconds, 0 or more.
    static constexpr duration from_ns(std::int64_t ns) noexcept {
        assert(ns >= 0 && "kaio: a duration of less than no time");
        return duration(ns);
    }

    // Rounded up to a nanosecond. A negative duration is 0, and one of more than 292 years is forever.
    template <class Duration, std::intmax_t = Duration::period::den>
    constexpr duration(Duration d) noexcept : ns_(nanoseconds(d)) {}

    // Nanoseconds, or `unlimited`.
    constexpr std::int64_t ns() const noexcept { return ns_; }
    constexpr bool is_unlimited() const noexcept { return ns_ == unlimited; }

private:
    constexpr explicit duration(std::int64_t ns) noexcept : ns_(ns) {}

    template <class Duration> static constexpr std::int64_t nanoseconds(Duration d) noexcept {
        // long double has 64 bits of mantissa where it matters, and double is exact for any wait shorter than 104 days.
        auto const ns =
            static_cast<long double>(d.count()) * 1'000'000'000 * Duration::period::num / Duration::period::den;
        if (!(ns > 0)) return 0;
        if (ns >= 9.2e18L) return unlimited;
        auto const whole = static_cast<std::int64_t>(ns);
        return whole + (static_cast<long double>(whole) < ns);
    }

    std::int64_t ns_ = unlimited;
};

} // namespace KAIO_BUILD
} // namespace kaio
