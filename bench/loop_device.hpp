// Loop devices over memory that vanish with this process.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <kaio/io/file.hpp>

namespace bench {

// Makes a device whose contents fill(fd) writes first. It lasts as long as the file, or a duplicate of it, is open.
// Throws std::runtime_error or std::system_error.
kaio::file make_loop_device(std::uint64_t size, const std::function<void(int)>& fill);

std::string loop_device_path(const kaio::file& device);

} // namespace bench
