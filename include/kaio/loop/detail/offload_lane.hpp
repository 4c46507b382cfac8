// offload_lane: functions of one loop on their way to helpers, first in, first out. A helper that takes the first of
// them passes the lane on to the next helper before it calls it. So as many run at once as there are helpers. Each
// posts itself when it has run.
//
//     the lane   means                                            becomes
//     asleep     no function is in it                             started (hand_over)
//     started    one helper takes the next function, or will      started (a helper, more are in it), asleep (the last)
//
// The job is for the helper that was started. All the rest is for the loop's thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <utility>

#include <kaio/loop/detail/inbox.hpp>
#include <kaio/loop/detail/mailbox.hpp>
#include <kaio/sys/helper_team.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// A function that runs on a helper. Its memory must stay until it is called as a post.
struct offloaded : posted {
    void (*run)(offloaded& self) noexcept; // runs it, and posts it
};

class offload_lane : public helper_job {
public:
    explicit offload_lane(helper_team& team) noexcept : helper_job{&run_first}, team_(team) {}
    offload_lane(const offload_lane&) = delete;
    offload_lane& operator=(const offload_lane&) = delete;

    // Has the function run on a helper. If the team has none, this thread runs it.
    void hand_over(offloaded& function) noexcept {
        if (inbox_.push(function) && !team_.start(*this)) run_first(*this);
    }

    // Waits until no helper works for this lane.
    void wait() noexcept { team_.wait_for(*this); }

private:
    // The job.
    static void run_first(helper_job& self) noexcept {
        auto& lane = static_cast<offload_lane&>(self);
        for (bool passed_on = false; !passed_on;) {
            offloaded& first = lane.take();
            passed_on = lane.falls_asleep() || lane.team_.start(lane);
            first.run(first);
        }
    }

    // REQUIRES: a function is in it
    offloaded& take() noexcept {
        if (!taken_) taken_ = inbox_.pop_all();
        return static_cast<offloaded&>(*std::exchange(taken_, taken_->next));
    }
    bool falls_asleep() noexcept { return !taken_ && inbox_.fall_asleep(); }

    helper_team& team_;
    inbox<posted> inbox_{taker::asleep};
    posted* taken_ = nullptr; // out of the inbox, in order, while the lane is started
};

} // namespace kaio::detail
