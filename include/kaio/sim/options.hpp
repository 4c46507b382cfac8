// options: how a simulated world behaves; sim::world::options() may be changed at any time.
#pragma once

#include <cstdint>

#include <kaio/io/file.hpp>

namespace kaio::inline KAIO_BUILD::sim {

struct options {
    // Nanoseconds from submission to completion, drawn for each request; some complete at once, inside io_submit.
    std::int64_t least_latency = 20'000;
    std::int64_t most_latency = 200'000;

    // Bytes that all files may have together. A write that goes beyond is short, or ENOSPC if not a byte fits.
    std::uint64_t disk_size = UINT64_MAX;

    // Probabilities, 0 to 1.
    double short_transfers =
        0;                 // of each read and write: fewer bytes than asked for, at least one (or direct I/O's unit)
    double io_errors = 0;  // of each read, write and sync: EIO; a write may have been done in part
    double bit_flips = 0;  // of each read: one bit of what it gives is wrong, this time
    double no_room = 0;    // of each request, at io_submit: EAGAIN
    double interrupts = 0; // of each wait in io_getevents: EINTR

    // Bytes: short transfers of direct files are multiples of this, as those of a network file system with units of its
    // own, and may end where direct I/O can't go on. 0: of the file's unit, as a local file system's.
    std::uint32_t short_unit = 0;
};

struct file_options {
    bool direct = false;                   // as with O_DIRECT: requests must be aligned, or they give EINVAL
    file_alignment alignment = {512, 512}; // bytes, powers of two
};

} // namespace kaio::sim
