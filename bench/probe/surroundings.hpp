// The place where the probe runs: kernel, file system, device, the quota of native AIO, and whether there is io_uring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <kaio/io/file.hpp>

namespace probe {

struct device {
    std::string name, scheduler; // as under /sys/block; a device that is made of others has no scheduler
    std::string queue;           // the number of requests that it takes before io_submit blocks (nr_requests), or ""
    std::string sector;          // bytes, or ""
};

struct io_uring {
    bool available = false;
    std::string cause; // "sysctl", "seccomp", "kernel" or "other", if it is not available
    std::string why;   // the cause in words
};

struct surroundings {
    std::string kernel, machine;
    std::string type, mounted, source; // the file system's
    std::optional<probe::device> device;
    std::string aio_max_nr, aio_nr;
    probe::io_uring io_uring;
};

// Returns what is known to block on file systems of this type, and does not show in one request at a time.
std::vector<std::string> known_to_block(const std::string& type);

// Throws std::runtime_error with cause and remedy if `directory` can't be opened as a directory.
surroundings look_around(const std::string& directory);

// Returns where kaio::file has the alignment of this regular file's direct I/O from: "statx", or "default".
const char* alignment_found_by(const kaio::file& file);

} // namespace probe
