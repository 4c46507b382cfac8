// Where the probe runs: kernel, file system, device, the quota of native AIO, and whether there is io_uring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <kaio/io/file.hpp>

namespace probe {

struct device {
    std::string name, scheduler; // as under /sys/block; a device that is made of others has no scheduler of its own
    std::string queue;           // requests that it takes before io_submit blocks (nr_requests), or ""
    std::string sector;          // bytes, or ""
};

struct io_uring {
    bool available = false;
    std::string cause; // "sysctl", "seccomp", "kernel" or "other", if it is not available
    std::string why;   // the same in words
};

struct surroundings {
    std::string kernel, machine;
    std::string type, mounted, source; // the file system's
    std::optional<probe::device> device;
    std::string aio_max_nr, aio_nr;
    probe::io_uring io_uring;
};

// Throws std::runtime_error with cause and remedy if `directory` can't be opened as a directory.
surroundings look_around(const std::string& directory);

// Who told kaio::file the alignment of direct I/O on this regular file: "statx", or "default" if nobody did.
const char* alignment_found_by(const kaio::file& file);

} // namespace probe
