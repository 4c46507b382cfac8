// The table, and what it says in words.
#pragma once

#include <string>
#include <vector>

#include "measure.hpp"

namespace bench {

// All that was measured on one medium.
struct chapter {
    std::string medium;      // its kind, or the file's name
    std::string description; // with its size
    std::string notice;      // what is not as it was asked for, or ""
    std::string direct;      // whether I/O is direct: "yes", "no", "ignored" (O_DIRECT is accepted and means nothing)
    std::string rw;
    pattern what;
    std::size_t block_size;
    std::vector<row> rows;
};

struct instruction_count {
    const engine* how;
    std::string why_not; // or "":
    double per_request;
};
struct instruction_counts {
    unsigned depth = 0; // 0: not counted
    std::vector<instruction_count> all;
};

double megabytes(const chapter& of, const row& r); // per second

std::string table(const chapter& of);
std::string table(const instruction_counts& counts);

// Three sentences, from the figures of this run.
std::string meaning(const std::vector<chapter>& all, unsigned rounds);

} // namespace bench
