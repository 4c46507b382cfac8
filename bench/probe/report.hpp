// The findings, for a person and for a script.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "flags.hpp"
#include "surroundings.hpp"
#include "timing.hpp"

namespace probe {

struct findings {
    std::string directory;
    surroundings around;
    kaio::file_alignment alignment;
    std::string alignment_found_by; // "statx" or "default"
    int direct_error = 0;           // why there is no O_DIRECT, or 0
    bool direct_ignored = false;    // O_DIRECT is accepted, but statx reports that there is no direct I/O
    bool ring = false;              // kaio takes events from the mapped ring
    std::size_t block = 0;
    std::vector<std::pair<std::string, timing>> operations; // each with its name
    std::vector<flag_answers> flags;
};

std::string table(const findings& all);

// Returns one JSON object, with the keys that docs/probe.md lists.
std::string json(const findings& all);

} // namespace probe
