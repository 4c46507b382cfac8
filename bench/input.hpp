// The file that is read: one that the user names, a temporary one, or a loop device. Nothing of it stays behind.
#pragma once

#include <cstdint>
#include <string>

#include <kaio/io/file.hpp>

namespace bench {

struct input_options {
    std::string path; // "": a temporary file
    bool loop_device = false;
    bool buffered = false;
    std::uint64_t size = 0; // bytes, of what is made here
    std::uint64_t block = 0;
};

struct input {
    kaio::file file;
    std::uint64_t size;      // bytes
    std::string description; // for the heading of the table
    std::string notice;      // what is not as it was asked for, or ""
};

// Throws std::runtime_error or std::system_error with a text for the user.
input open_input(const input_options& options);

} // namespace bench
