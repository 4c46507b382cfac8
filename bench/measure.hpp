// Measures engines against one another at one depth.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine.hpp"
#include "system_calls.hpp"

namespace bench {

struct plan {
    std::vector<const engine*> engines;
    unsigned rounds;
    std::uint64_t requests; // for each round; 0: as many as fit into seconds_per_pass
    double seconds_per_pass;
};

// What is read: the same for all engines.
struct target {
    int fd;
    std::uint64_t blocks; // in the file
    std::size_t block_size;
    unsigned depth;
};

struct row {
    const engine* how;
    unsigned depth;
    double rate;                 // requests per second, median of the rounds
    std::optional<double> ratio; // of rate to raw-ring's, median over the rounds
    double spread;               // fastest round to slowest
    double cpu;                  // µs per request, user and system, median
    double p99;                  // µs, from a pass of its own
    std::optional<double> calls; // system calls per request
};

// One row for each engine that can do this depth, in order. `notes` says how system calls were counted.
// Throws std::runtime_error or std::system_error if an engine can't be opened, interrupted if a signal asks to stop.
std::vector<row> measure(const plan& what, const target& to, call_counts& notes);

// SIGINT, SIGTERM and SIGHUP are kept back, and looked at between the passes: no measured wait is cut short by them.
struct interrupted {
    int signal;
};
void hold_signals();

} // namespace bench
