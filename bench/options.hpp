// The command line: fio's words where fio has one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "measure.hpp"
#include "media.hpp"

namespace bench {

struct settings {
    std::vector<engine> engines = all_engines();
    std::vector<std::string> media; // kinds, or "filename"
    medium_options medium{};        // but its kind
    std::string rw = "randread";
    pattern what;
    std::vector<unsigned> depths, jobs;
    plan how{};
    bool instructions = false;
    bool quiet = false;      // no progress line
    std::string json;        // a path, "-" for standard output, "" for none
    std::uint64_t alone = 0; // requests of the one engine, and nothing else; 0: a benchmark
    std::string command;     // as it was given
};

// Parses the command line. A number: the program is to end with that status; help or what is wrong has been printed.
std::optional<int> parse(int argc, char** argv, settings& to);

} // namespace bench
