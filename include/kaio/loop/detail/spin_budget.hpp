// spin_budget: how long a loop spins on an empty ring before it sleeps in the kernel. It learns within the user's
// limit: spin_time how long to spin, and spin_trial whether to spin at all. It makes no system call and belongs to its
// loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>

#include <kaio/io/duration.hpp>
#include <kaio/loop/detail/spin_time.hpp>
#include <kaio/loop/detail/spin_trial.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class spin_budget {
public:
    // `limit` is 0 for a loop that never spins, and unlimited for one that never sleeps.
    explicit spin_budget(duration limit) noexcept : time_(limit) {}

    bool is_unlimited() const noexcept { return time_.limit() == duration::unlimited; }

    // Nanoseconds to spin before the next sleep.
    std::int64_t ns() const noexcept { return trial_.chosen() == spin_trial::spin ? time_.ns() : 0; }

    // At the start of each wait: the time (ns, not 0), and the number of requests that have completed, ever (it may
    // wrap around).
    void wait_begins(std::int64_t time, unsigned completed) noexcept {
        if (time_.limit() != 0 && !is_unlimited()) trial_.wait_begins(time, completed);
    }

    // After a wait that ended asleep, and that lasted `waited` ns in all, spinning included.
    void slept(std::int64_t waited) noexcept {
        if (trial_.chosen() == spin_trial::spin) time_.adapt(waited);
    }

private:
    spin_time time_;
    spin_trial trial_{};
};

} // namespace kaio::detail
