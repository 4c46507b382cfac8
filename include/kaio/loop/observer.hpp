// What a loop can be asked to report, as its second template parameter: no_observer (the default) reports nothing and
// costs nothing; loop_counters counts. An observer of your own has loop_counters' four functions.
// They are called on the loop's thread and must not call the loop.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>

namespace kaio::inline KAIO_BUILD {

struct no_observer {};

struct loop_counters {
    std::uint64_t submissions = 0;      // requests given to submit
    std::uint64_t completions = 0;      // handlers called
    std::uint64_t batches = 0;          // flushes that had something to give to the kernel
    std::uint64_t waits = 0;            // waits that ended in a system call
    std::uint64_t completed_inside = 0; // events that came while the loop was inside io_submit (needs a trusted ring)
    std::int64_t submit_ns = 0;         // time inside io_submit
    std::int64_t longest_submit_ns = 0;

    void on_submit() noexcept { ++submissions; }
    void on_complete() noexcept { ++completions; }
    void on_batch(unsigned /*accepted*/, unsigned inside, std::int64_t ns) noexcept {
        ++batches;
        completed_inside += inside;
        submit_ns += ns;
        if (ns > longest_submit_ns) longest_submit_ns = ns;
    }
    void on_wait() noexcept { ++waits; }
};

} // namespace kaio
