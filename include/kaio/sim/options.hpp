// options: how a simulated world behaves. sim::world::options() may be changed at any time.
//     kaio::sim::world world(seed, {.short_transfers = 0.1, .io_errors = 0.01});
//     world.options().io_errors = 0;
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>

#include <kaio/io/open_file.hpp>

namespace kaio::inline KAIO_BUILD::sim {

struct options {
    // Nanoseconds from submission to completion, drawn for each request. Some requests complete inside io_submit.
    std::int64_t least_latency = 20'000;
    std::int64_t most_latency = 200'000;

    // Bytes that all files may have together. A write beyond that is short, or ENOSPC if not a byte fits.
    std::uint64_t disk_size = UINT64_MAX;

    // Probabilities, 0 to 1.
    double short_transfers = 0; // for each read and write: fewer bytes than asked for, but one byte or unit at least
    double io_errors = 0;       // for each read, write and sync: EIO; a part of a write may have been done
    double bit_flips = 0;       // for each read: one bit of what is read is wrong, this time
    double no_room = 0;         // for each request, at io_submit: EAGAIN
    double interrupts = 0;      // for each wait in io_getevents: EINTR
    double blocking = 0;        // for each read and write: it blocks, see below

    // A request that blocks has its thread stuck inside io_submit until it has completed: so many nanoseconds, drawn for
    // each. With RWF_NOWAIT its event has EAGAIN instead, soon. file_options say what else blocks.
    std::int64_t least_blocking = 100'000;
    std::int64_t most_blocking = 5'000'000;

    // Bytes. Short transfers of direct files are multiples of this, as on a network file system with units of its own,
    // and may stop where direct I/O can't go on. 0: multiples of the file's unit, as on a local file system.
    std::uint32_t short_unit = 0;
};

// The writes of a file that block. Each value includes those before it.
enum class blocking_writes : unsigned char {
    never,
    extending,  // that make the file longer: direct ones on ext4
    into_holes, // of bytes that were never written
    all,        // as on btrfs
};

// What a file makes of RWF_NOWAIT.
enum class nowait_answer : unsigned char {
    known,
    refused_in_event,      // writes have EOPNOTSUPP in their event: buffered ones on ext4
    refused_at_submission, // io_submit returns EOPNOTSUPP: FUSE
};

// What one file is like.
struct file_options {
    bool direct = false;                   // as with O_DIRECT: requests that are not aligned fail with EINVAL
    file_alignment alignment = {512, 512}; // bytes, powers of two

    // What blocks, and who says so.
    blocking_writes blocks = blocking_writes::never;
    nowait_answer nowait = nowait_answer::known;
    bool cached = false;    // it has a page cache: a read of bytes that are not in it blocks until they are
    bool in_memory = false; // as on tmpfs: nothing blocks, all completes at once, and io_submit refuses RWF_NOWAIT

    // Not 0: it is a device, and so many of its requests can be in flight. io_submit blocks while there are so many,
    // and with RWF_NOWAIT the event has EAGAIN.
    unsigned queue_depth = 0;
};

} // namespace kaio::sim
