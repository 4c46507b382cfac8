// One request as a blocking call.
#pragma once

#include <cerrno>

#include <unistd.h>

#include "workload.hpp"

namespace bench {

// Bytes, or a negative errno.
inline std::int64_t blocking_call(int fd, const op& of) noexcept {
    ssize_t const result = of.what == action::read    ? ::pread(fd, of.buffer, of.size, of.offset)
                           : of.what == action::write ? ::pwrite(fd, of.buffer, of.size, of.offset)
                                                      : ::fsync(fd);
    return result < 0 ? -errno : result;
}

} // namespace bench
