// A temporary file without a name: it vanishes with its descriptors, however the program ends.
#pragma once

#include <cstdint>
#include <string>

#include <kaio/io/file.hpp>

namespace probe {

struct scratch {
    kaio::file buffered;
    kaio::file direct;    // the same file with O_DIRECT, or no file
    int direct_error = 0; // the errno that says why

    // In `directory`. Throws std::runtime_error with cause and remedy.
    explicit scratch(const std::string& directory);

    // Writes real bytes, so that no hole is left, and brings them to the device. Throws as above.
    void fill(std::uint64_t bytes) const;

private:
    bool make_nameless(const std::string& directory);
    void make_and_unlink(const std::string& directory);
    bool open_direct(const std::string& path);
};

// Throws as above if there is no room for that much in the file system.
void need_room(const std::string& directory, std::uint64_t bytes);

} // namespace probe
