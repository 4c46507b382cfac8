// The kinds of requests that are measured, on temporary files that are made here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "timing.hpp"

namespace probe {

// Returns how many bytes the temporary files of make_operations take.
std::uint64_t room_needed(std::size_t block, unsigned repetitions) noexcept;

// Returns all operations, with requests of `block` bytes on files in `directory`, in the order of the table.
// Throws std::runtime_error with cause and remedy if the files can't be made.
std::vector<operation> make_operations(const std::string& directory, std::size_t block, unsigned repetitions);

} // namespace probe
