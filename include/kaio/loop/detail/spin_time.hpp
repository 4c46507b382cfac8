// spin_time: how long it pays to spin before sleeping. Spinning is looking at the empty ring busily. The time grows
// while waits are short and shrinks while they are long, within the user's limit. It makes no system call and belongs
// to its loop's thread. docs/decisions/adaptive-spinning.md has the reasons.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>

#include <kaio/io/duration.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class spin_time {
public:
    explicit spin_time(duration limit) noexcept
        : limit_(limit.ns()), ns_(limit.is_unlimited() ? duration::unlimited : limit.ns() / 2) {}

    std::int64_t limit() const noexcept { return limit_; }

    // Nanoseconds to spin before the next sleep: 0 to limit().
    std::int64_t ns() const noexcept { return ns_; }

    // After a wait that spinning did not end, and that lasted `waited` ns in all. If it was shorter than the limit,
    // spinning longer would have ended it, and the time doubles. Else spinning was wasted, and the time halves.
    void adapt(std::int64_t waited) noexcept {
        if (limit_ == duration::unlimited) return;
        if (waited > limit_)
            ns_ = ns_ / 2 < least ? 0 : ns_ / 2;
        else if (ns_ < least)
            ns_ = least < limit_ ? least : limit_;
        else
            ns_ = ns_ < limit_ / 2 ? ns_ * 2 : limit_;
    }

private:
    static constexpr std::int64_t least = 1000; // ns: less is not worth reading the clock

    std::int64_t limit_; // the user's
    std::int64_t ns_;
};

} // namespace kaio::detail
