// A request of the workload as kaio's.
#pragma once

#include <span>

#include <kaio/io/request.hpp>

#include "workload.hpp"

namespace bench {

inline kaio::request make_request(int fd, const op& request) noexcept {
    std::span const buffer(request.buffer, request.size);
    switch (request.action) {
    case action::read:
        return kaio::read(fd, buffer, request.offset);
    case action::write:
        return kaio::write(fd, buffer, request.offset);
    case action::sync:
        break;
    }
    return kaio::fsync(fd);
}

} // namespace bench
