// poll_budget: how long to look at an empty ring before sleeping in the kernel. It learns, within the user's limit, and
// in two ways: the budget grows and shrinks with how long waits last, and now and then polling itself is tried against
// sleeping at once, because where processors are scarce looking takes them from the kernel's own threads.
// docs/decisions/adaptive-polling.md has the reasons. One thread; no system calls.
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
    std::int64_t ns() const noexcept { return polling_ ? now_ : 0; }
    bool is_unlimited() const noexcept { return limit_ == timeout::unlimited; }

    // After a wait that polling did not end, and that lasted so long in all: if it was shorter than the limit, looking
    // longer would have ended it, and the budget doubles; else looking was wasted, and it halves.
    void slept(std::int64_t waited) noexcept {
        if (is_unlimited() || !polling_) return;
        if (waited > limit_)
            now_ = now_ / 2 < least ? 0 : now_ / 2;
        else
            now_ = now_ < least ? (least < limit_ ? least : limit_) : (now_ < limit_ / 2 ? now_ * 2 : limit_);
    }

    // At the start of each wait: the time (ns) and how many requests have completed, ever (it may wrap). Compares what
    // a completion takes with polling and without, and goes on with polling only if that is 5 % faster.
    void waiting(std::int64_t time, unsigned completed) noexcept {
        if (limit_ == 0 || is_unlimited()) return;
        std::int64_t const elapsed = time - period_began_;
        unsigned const count = completed - completed_before_;
        if (elapsed < period && period_began_ != 0) return;
        if (count < fewest && period_began_ != 0) return;
        std::int64_t& cost = cost_[polling_];
        if (period_began_ != 0) {
            std::int64_t const measured = elapsed * 16 / count;             // in sixteenths of a ns
            cost = trying_ || cost == 0 ? measured : (cost + measured) / 2; // what is tried was last seen long ago
            if (--periods_left_ == 0) next_period();
        }
        period_began_ = time;
        completed_before_ = completed;
    }

private:
    static constexpr std::int64_t least = 1000;       // ns: below this a budget is not worth the clock's reading
    static constexpr std::int64_t period = 2'000'000; // ns, and
    static constexpr unsigned fewest = 32;            // completions, that one measurement takes at least
    static constexpr unsigned seldom = 64, often = 8; // periods between two trials

    void next_period() noexcept {
        if (!trying_) {
            trying_ = true;
            polling_ = !polling_;
            periods_left_ = 1;
            return;
        }
        trying_ = false;
        bool const pays = cost_[false] == 0 || cost_[true] * 20 < cost_[false] * 19;
        bool const before = !polling_; // what was in use when the trial began
        between_ = pays != before ? often : (between_ * 2 < seldom ? between_ * 2 : seldom);
        polling_ = pays;
        periods_left_ = between_;
    }

    std::int64_t limit_;
    std::int64_t now_; // 0 to limit_
    bool polling_ = true;
    bool trying_ = false;           // this period is a trial of the other way
    unsigned between_ = often;      // periods from one trial to the next
    unsigned periods_left_ = 2;     // of this way
    std::int64_t period_began_ = 0; // 0: not yet
    unsigned completed_before_ = 0; // when the period began
    std::int64_t cost_[2] = {0, 0}; // of a completion, sleeping and polling; 0: not known
};

} // namespace kaio
