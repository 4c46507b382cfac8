// One request as a blocking call.
#pragma once

#include <cerrno>

#include <unistd.h>

#include "workload.hpp"

namespace bench {

// Returns the bytes, or a negative errno.
inline std::int64_t blocking_call(int fd, const op& request) noexcept {
    ssize_t const result = request.action == action::read ? ::pread(fd, request.buffer, request.size, request.offset)
                           : request.action == action::write
                               ? ::pwrite(fd, request.buffer, request.size, request.offset)
                               : ::fsync(fd);
    return result < 0 ? -errno : result;
}

} // namespace bench
