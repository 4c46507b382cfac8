// habits: what a loop with helpers has learned of files, so that a request goes the right way at once. One habit is for
// the reads or the writes of one descriptor.
//
//     way       a request goes                      becomes
//     try_it    to the kernel, with RWF_NOWAIT      helper, when the kernel knows no NOWAIT here, or writes block
//     helper    to a helper                         try_it, when one of them is tried, after `skips`, and goes through
//     at_once   to the kernel, as it is             try_it, when the descriptor is no longer of a file in memory
//
// A read that is tried starts the read-ahead although it would block, so reads are tried even if they always block, but
// only a few in a pass: each takes some µs then. A helper starts the read-ahead of the others.
// A descriptor that is closed, and whose number then names another file, is found out again by what is tried.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/operation_list.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::detail {

enum class way : unsigned char { try_it, helper, at_once };

struct file_habit {
    std::uint32_t file = 0; // the descriptor
    way usual = way::try_it;
    bool known = false; // it is some file's
    bool writes = false;
    bool direct = false;      // with O_DIRECT
    bool synchronous = false; // with O_DSYNC
    bool appends = false;     // with O_APPEND
    unsigned char misses = 0; // tries in a row that would have blocked, most_misses at most
    unsigned tried = 0;       // requests in flight that the loop has given NOWAIT
    unsigned pass = 0;        // the loop's last submission that had a request for it
    unsigned tries = 0;       // in that pass, of reads that usually block
    unsigned skips = 0;       // requests to be passed to a helper before the next try
    unsigned pause = 0;       // `skips` after a try that would have blocked
    operation_list stalled{}; // of a device whose queue was full: they go when something of the device has completed

    // Which way the next request goes. REQUIRES: usual != way::at_once
    way next(unsigned current_pass) noexcept {
        if (std::exchange(pass, current_pass) != current_pass) tries = 0;
        if (usual == way::try_it) {
            if (writes || misses < most_misses) return way::try_it;
            return ++tries <= most_tries ? way::try_it : way::helper;
        }
        if (skips != 0) {
            --skips;
            return way::helper;
        }
        return tried == 0 ? way::try_it : way::helper;
    }

    // A try has gone through.
    void went_through() noexcept {
        misses = 0;
        pause = 0;
        if (usual == way::helper) usual = way::try_it;
    }
    // A try would have blocked.
    void would_block() noexcept {
        if (usual == way::helper)
            try_later(pause * 2);
        else if (misses < most_misses)
            ++misses;
        else if (writes)
            try_later(first_pause);
    }
    // The kernel knows no NOWAIT for it.
    void knows_no_nowait() noexcept { try_later(longest_pause); }

private:
    static constexpr unsigned char most_misses = 2;
    static constexpr unsigned most_tries = 4;
    static constexpr unsigned first_pause = 8, longest_pause = 1024;

    // Tries that were under way when the pause began do not make it longer.
    void try_later(unsigned requests) noexcept {
        usual = way::helper;
        if (skips != 0) return;
        skips = pause = requests < longest_pause ? requests : longest_pause;
    }
};

class habits {
public:
    // The habit of such requests. `learn(habit)` sets what can be asked of a file that is new here.
    template <class Learn> file_habit& of(const iocb& request, Learn learn) noexcept {
        bool const writes = request.aio_lio_opcode == static_cast<std::uint16_t>(opcode::pwrite) ||
                            request.aio_lio_opcode == static_cast<std::uint16_t>(opcode::pwritev);
        file_habit* free = nullptr;
        for (unsigned i = 0; i < probes; ++i) {
            file_habit& habit = table_[(request.aio_fildes * 2 + writes + i * stride) % places];
            if (habit.known && habit.file == request.aio_fildes && habit.writes == writes) return habit;
            if (!free && habit.tried == 0 && habit.stalled.empty()) free = &habit;
        }
        if (!free) return crowd_;
        *free = file_habit();
        free->file = request.aio_fildes;
        free->known = true;
        free->writes = writes;
        learn(*free);
        return *free;
    }

    template <class Visit> void for_each(Visit visit) noexcept {
        for (file_habit& habit : table_) visit(habit);
        visit(crowd_);
    }

private:
    static constexpr unsigned places = 64, probes = 4, stride = 17;

    file_habit table_[places];
    file_habit crowd_{}; // of requests to more files at once than there are places: each is tried
};

} // namespace kaio::detail
