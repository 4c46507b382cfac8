// poll_budget: how long to look at an empty ring before sleeping in the kernel. It learns, within the user's limit, and
// in two ways: the budget grows and shrinks with how long waits last, and now and then polling itself is tried against
// sleeping at once, because where processors are scarce looking takes them from the kernel's own threads.
// docs/decisions/adaptive-polling.md has the reasons. One thread; no system calls.
#pragma once

#include <cstdint>

#include <kaio/io/duration.hpp>

namespace kaio::inline KAIO_BUILD {

class poll_budget {
public:
    // `limit`: 0 never polls, unlimited always does.
    explicit poll_budget(duration limit) noexcept
        : limit_(limit.ns()), now_(limit.is_unlimited() ? limit_ : limit_ / 2) {}

    // Nanoseconds to poll before the next sleep.
    std::int64_t ns() const noexcept { return polling_ ? now_ : 0; }
    bool is_unlimited() const noexcept { return limit_ == duration::unlimited; }

    // After a wait that polling did not end, and that lasted so long in all: if it was shorter than the limit, looking
    // longer would have ended it, and the budget doubles; else looking was wasted, and it halves.
    void slept(std::int64_t waited) noexcept {
        if (is_unlimited() || !polling_) return;
        if (waited > limit_)
            now_ = now_ / 2 < least ? 0 : now_ / 2;
        else
            now_ = now_ < least ? (least < limit_ ? least : limit_) : (now_ < limit_ / 2 ? now_ * 2 : limit_);
    }

    // At the start of each wait: the time (ns, not 0) and how many requests have completed, ever (it may wrap).
    // Compares what a completion takes with polling and without, in turn, and goes on with polling only if that is 5 %
    // faster.
    void waiting(std::int64_t time, unsigned completed) noexcept {
        if (limit_ == 0 || is_unlimited()) return;
        std::int64_t const elapsed = time - began_;
        unsigned const count = completed - completed_before_;
        if (began_ != 0) {
            if (elapsed < period || count == 0) return;
            std::int64_t const cost = (elapsed < longest ? elapsed : longest) * 16 / count; // in sixteenths of a ns
            if (count < fewest && !(trying() && hopeless(cost))) return;
            ended(cost);
        }
        began_ = time;
        completed_before_ = completed;
    }

private:
    static constexpr std::int64_t least = 1000;         // ns: below this a budget is not worth the clock's reading
    static constexpr std::int64_t period = 1'000'000;   // ns, and
    static constexpr unsigned fewest = 32;              // completions, that one measurement takes at least
    static constexpr std::int64_t longest = 1000000000; // ns: longer pauses are the program's own
    static constexpr unsigned turns = 3;                // of each way in a trial
    static constexpr unsigned seldom = 512, often = 8;  // periods between two trials

    bool trying() const noexcept { return polling_ != usual_; }
    bool hopeless(std::int64_t cost) const noexcept { return cost / 2 > seen_[usual_][turn_]; }

    // A period is over, in which a completion took `cost`.
    void ended(std::int64_t cost) noexcept {
        if (!in_trial_) { // is it time for one, or has everything become slower?
            if (--periods_left_ != 0 && cost / 2 < cost_) return;
            in_trial_ = true;
            turn_ = 0;
        }
        seen_[polling_][turn_] = cost;
        if (trying() && hopeless(cost))
            decide(usual_);
        else if (trying() && ++turn_ == turns)
            decide(median(seen_[true]) / 20 * 21 < median(seen_[false]));
        else
            polling_ = !polling_;
    }

    void decide(bool polling) noexcept {
        between_ = polling != usual_ ? often : (between_ < seldom ? between_ * 2 : seldom);
        periods_left_ = between_;
        in_trial_ = false;
        usual_ = polling_ = polling;
        cost_ = seen_[usual_][0];
    }

    // One measurement that something else on the machine has spoilt does not count.
    static std::int64_t median(const std::int64_t (&of)[turns]) noexcept {
        std::int64_t const low = of[0] < of[1] ? of[0] : of[1], high = of[0] < of[1] ? of[1] : of[0];
        return of[2] < low ? low : (of[2] > high ? high : of[2]);
    }

    std::int64_t limit_;
    std::int64_t now_;    // 0 to limit_
    bool polling_ = true; // in this period
    bool usual_ = true;   // what was found to pay; another way is a trial
    bool in_trial_ = false;
    unsigned turn_ = 0;                // of the trial
    unsigned between_ = often;         // periods from one trial to the next
    unsigned periods_left_ = 1;        // until the next
    std::int64_t began_ = 0;           // this period; 0: none yet
    unsigned completed_before_ = 0;    // when it began
    std::int64_t seen_[2][turns] = {}; // what a completion took in the trial, sleeping and polling
    std::int64_t cost_ = 0;            // of the usual way, in the last trial
};

} // namespace kaio
