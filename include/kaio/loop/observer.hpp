// What a loop can be asked to report, as its second template parameter: no_observer (the default) reports nothing and
// costs nothing; loop_counters counts. An observer of your own has loop_counters' functions; on_wait, on_helper and
// on_offload may be left out. It may have two more, for the turns of a run. In a turn the loop submits requests to the
// kernel, takes what has completed and calls handlers. A turn ends before each wait, spinning included, and the next
// begins after it. Where there is no need to wait, one follows the other:
//     void on_turn_end() noexcept;
//     void on_turn_begin() noexcept;
// They are called on the loop's thread and must not call the loop.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>

namespace kaio::inline KAIO_BUILD {

// Why a helper submits a request.
enum class helper_reason : unsigned char {
    would_block,    // the kernel said so
    known_to_block, // its file's requests have blocked before
    no_nowait,      // the kernel can't say so for this file
};

// Reports nothing.
struct no_observer {};

// Counts, from the beginning on. Times are in nanoseconds.
struct loop_counters {
    std::uint64_t submissions = 0;      // requests given to submit
    std::uint64_t completions = 0;      // handlers called
    std::uint64_t batches = 0;          // flushes that had something to give to the kernel
    std::uint64_t waits = 0;            // waits that ended in a system call
    std::uint64_t completed_inside = 0; // events that came while the loop was inside io_submit (needs a trusted ring)
    std::int64_t submit_ns = 0;         // time inside io_submit
    std::int64_t longest_submit_ns = 0; // the longest of these times

    // Requests that helpers have submitted, by their helper_reason.
    std::uint64_t would_block = 0;
    std::uint64_t known_to_block = 0;
    std::uint64_t no_nowait = 0;
    std::uint64_t offloads = 0; // functions that were offloaded

    // The loop calls these.
    void on_submit() noexcept { ++submissions; }
    void on_complete() noexcept { ++completions; }
    void on_batch(unsigned /*accepted*/, unsigned inside, std::int64_t ns) noexcept {
        ++batches;
        completed_inside += inside;
        submit_ns += ns;
        if (ns > longest_submit_ns) longest_submit_ns = ns;
    }
    void on_wait() noexcept { ++waits; }
    void on_offload() noexcept { ++offloads; }
    void on_helper(helper_reason reason) noexcept {
        ++(reason == helper_reason::would_block      ? would_block
           : reason == helper_reason::known_to_block ? known_to_block
                                                     : no_nowait);
    }
};

} // namespace kaio
