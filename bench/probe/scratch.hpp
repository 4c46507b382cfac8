// A temporary file without a name, which vanishes with its descriptors, however the program ends.
#pragma once

#include <cstdint>
#include <string>

#include <kaio/io/file.hpp>

namespace probe {

struct scratch {
    kaio::file buffered;
    kaio::file direct;    // the same file with O_DIRECT, or no file
    int direct_error = 0; // why there is no such file, an errno

    // Makes the file in `directory`. Throws std::runtime_error with cause and remedy.
    explicit scratch(const std::string& directory);

    // Writes bytes without a hole, and flushes them to the device. Throws as above.
    void fill(std::uint64_t bytes) const;

private:
    bool make_nameless(const std::string& directory);
    void make_and_unlink(const std::string& directory);
    bool open_direct(const std::string& path);
};

// Throws as above if the file system has no room for so many bytes.
void need_room(const std::string& directory, std::uint64_t bytes);

} // namespace probe
