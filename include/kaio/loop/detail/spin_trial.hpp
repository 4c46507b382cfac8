// spin_trial: whether spinning pays at all. Where processors are scarce, a thread that spins takes one from the
// kernel's own threads. So the two ways to wait are tried in turn, and the faster one is the usual way until the next
// trial:
//
//     period    1 ms or more, and 32 completions or more, in one way. It measures what a completion takes. While the
//               loop is new, or a change is recent, a quarter of that: bursts are short, too.
//     trial     periods in turn, the usual way first, until each way has had three. The medians decide.
//     between   periods in the usual way: 8 after a change, and twice as many after each trial that changed nothing,
//               up to 512. Fewer if a completion suddenly takes twice as long.
//
// It makes no system call and belongs to its loop's thread. docs/decisions/adaptive-spinning.md has the reasons.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>

namespace kaio::inline KAIO_BUILD::detail {

class spin_trial {
public:
    enum way : unsigned char { sleep, spin };

    // How to wait now.
    way chosen() const noexcept { return current_; }

    // At the start of each wait: the time (ns, not 0), and the number of requests that have completed, ever (it may
    // wrap around).
    void wait_begins(std::int64_t time, unsigned completed) noexcept {
        if (period_began_ != 0) {
            std::int64_t const elapsed = time - period_began_;
            unsigned const count = completed - completed_before_;
            unsigned const parts = is_settled() ? 1 : 4;
            if (elapsed < shortest_period / parts || count == 0) return;
            std::int64_t const cost = (elapsed < longest_period ? elapsed : longest_period) * 16 / count;
            if (count < fewest_completions / parts && !(is_tried() && is_hopeless(cost))) return;
            period_ends(cost);
        }
        period_began_ = time;
        completed_before_ = completed;
    }

private:
    static constexpr std::int64_t shortest_period = 1'000'000;    // ns
    static constexpr std::int64_t longest_period = 1'000'000'000; // ns: a longer pause is the program's own
    static constexpr unsigned fewest_completions = 32;            // in a period
    static constexpr unsigned turns = 3;                          // of each way in a trial
    static constexpr unsigned fewest_between = 8, settled = 64, most_between = 512;

    // Several trials have agreed.
    bool is_settled() const noexcept { return between_ >= settled; }

    // The current period tries what is not the usual way.
    bool is_tried() const noexcept { return current_ != usual_; }
    bool is_hopeless(std::int64_t cost) const noexcept { return cost / 2 > costs_[usual_][turn_]; }

    // A period has ended, in which a completion took `cost` sixteenths of a nanosecond.
    void period_ends(std::int64_t cost) noexcept {
        if (!in_trial_) {
            bool const suddenly_slower = cost / 2 >= usual_cost_;
            if (--periods_to_trial_ != 0 && !suddenly_slower) return;
            in_trial_ = true;
            turn_ = 0;
        }
        costs_[current_][turn_] = cost;
        if (is_tried() && is_hopeless(cost))
            decide(usual_);
        else if (is_tried() && ++turn_ == turns)
            decide(median(costs_[spin]) / 20 * 21 < median(costs_[sleep]) ? spin : sleep); // 5 % faster
        else
            current_ = current_ == spin ? sleep : spin;
    }

    void decide(way better) noexcept {
        if (better != usual_)
            between_ = fewest_between;
        else if (between_ < most_between)
            between_ *= 2;
        periods_to_trial_ = between_;
        in_trial_ = false;
        usual_ = current_ = better;
        usual_cost_ = costs_[better][0];
    }

    // A period that something else on the machine has spoilt does not count.
    static std::int64_t median(const std::int64_t (&costs)[turns]) noexcept {
        std::int64_t const low = costs[0] < costs[1] ? costs[0] : costs[1];
        std::int64_t const high = costs[0] < costs[1] ? costs[1] : costs[0];
        return costs[2] < low ? low : (costs[2] > high ? high : costs[2]);
    }

    way current_ = spin; // in this period
    way usual_ = spin;   // the faster one in the last trial
    bool in_trial_ = false;
    unsigned turn_ = 0;                 // of the trial: 0 to turns - 1
    unsigned between_ = fewest_between; // periods from one trial to the next
    unsigned periods_to_trial_ = 1;
    unsigned completed_before_ = 0;     // when the period began
    std::int64_t period_began_ = 0;     // ns; 0: there was none yet
    std::int64_t costs_[2][turns] = {}; // of each way in the trial, by turn; in sixteenths of a ns, as usual_cost_
    std::int64_t usual_cost_ = 0;       // what a completion took in the usual way at the last trial
};

} // namespace kaio::detail
