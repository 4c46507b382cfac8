// The table, and its meaning in words.
#pragma once

#include <string>
#include <vector>

#include "measure.hpp"

namespace bench {

// The figures of one medium.
struct chapter {
    std::string medium;      // its kind, or the file's name
    std::string description; // with its size
    std::string notice;      // what differs from what the user asked for, or ""
    std::string direct;      // whether I/O is direct: "yes", "no", "ignored" (O_DIRECT is accepted and means nothing)
    std::string rw;
    bench::pattern pattern;
    bench::state state;
    std::size_t block_size;
    std::vector<row> rows;
};

struct instruction_count {
    const bench::engine* engine;
    std::string why_not; // why nothing was counted, or ""
    double per_request;  // if why_not is ""
};
struct instruction_counts {
    unsigned depth = 0; // 0: not counted
    std::vector<instruction_count> all;
};

double megabytes(const chapter& chapter, const row& r); // per second

std::string table(const chapter& chapter);
std::string table(const instruction_counts& counts);

// Returns three sentences about the figures.
std::string meaning(const std::vector<chapter>& all, unsigned rounds);

} // namespace bench
