// options: how a simulated world behaves. sim::world::options() may be changed at any time.
//     kaio::sim::world world(seed, {.short_transfers = 0.1, .io_errors = 0.01});
//     world.options().io_errors = 0;
#pragma once

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

    // Bytes. Short transfers of direct files are multiples of this, as on a network file system with units of its own,
    // and may stop where direct I/O can't go on. 0: multiples of the file's unit, as on a local file system.
    std::uint32_t short_unit = 0;
};

struct file_options {
    bool direct = false;                   // as with O_DIRECT: requests that are not aligned fail with EINVAL
    file_alignment alignment = {512, 512}; // bytes, powers of two
};

} // namespace kaio::sim
