// poll_budget: how long to look at an empty ring before sleeping in the kernel. It learns from each wait: if a wait
// would have ended within the user's limit, looking longer pays and the budget doubles; if it lasted longer than that,
// looking was wasted and the budget halves. docs/decisions/adaptive-polling.md says why. One thread; no system calls.
#pragma once

#include <cstdint>

#include <kaio/io/timeout.hpp>

namespace kaio {

class poll_budget {
public:
    // `limit`: 0 never polls, unlimited always does.
    explicit poll_budget(timeout limit) noexcept
        : limit_(limit.ns()), now_(limit.is_unlimited() ? limit_ : limit_ / 2) {}

    // Nanoseconds to poll before the next sleep.
    std::int64_t ns() const noexcept { return now_; }
    bool is_unlimited() const noexcept { return limit_ == timeout::unlimited; }

    // After a wait that polling did not end, and that lasted so long in all.
    void slept(std::int64_t waited) noexcept {
        if (is_unlimited()) return;
        if (waited > limit_)
            now_ = now_ / 2 < least ? 0 : now_ / 2;
        else
            now_ = now_ < least ? (least < limit_ ? least : limit_) : (now_ < limit_ / 2 ? now_ * 2 : limit_);
    }

private:
    static constexpr std::int64_t least = 1000; // ns: below this a budget is not worth the clock's reading

    std::int64_t limit_;
    std::int64_t now_; // 0 to limit_
};

} // namespace kaio
