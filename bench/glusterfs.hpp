// A GlusterFS volume that vanishes with this process.
#pragma once

#include <cstdint>
#include <string>

#include <kaio/io/file.hpp>

namespace bench {

struct glusterfs {
    kaio::file keeper;  // the volume lasts as long as this, or a duplicate of it, is open
    std::string folder; // where it is mounted
};

// Makes a volume as glusterfs.sh does, with bricks of so many bytes. Throws std::runtime_error or std::system_error.
glusterfs make_glusterfs(std::uint64_t size);

} // namespace bench
