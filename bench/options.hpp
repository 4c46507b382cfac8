// The command line. It uses fio's words where fio has one.
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
    medium_options medium{};        // without its kind
    std::string rw = "randread";
    bench::pattern pattern;
    std::vector<unsigned> depths, jobs;
    bench::plan plan{};
    bool instructions = false;
    bool quiet = false;      // no progress line
    std::string json;        // a path, "-" for standard output, "" for none
    std::uint64_t alone = 0; // requests of one engine, and nothing else; 0: a benchmark
    std::string command;     // the command line
};

// Parses the command line. If it returns a number, help or an error was printed, and the program ends with that status.
std::optional<int> parse(int argc, char** argv, settings& settings);

} // namespace bench
