// Measures engines against one another on one medium at one depth: interleaved rounds, then rounds that look at the
// clock for each request, then one that counts system calls.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <kaio/io/file.hpp>

#include "engine.hpp"

namespace bench {

struct plan {
    std::vector<const engine*> engines;
    unsigned rounds;
    unsigned latency_rounds;
    std::uint64_t requests; // of each loop in each round; 0: as many as fit into `seconds`
    double seconds;         // of one round of one engine
    double ramp;            // seconds before each round that are not measured
    std::uint64_t seed;
};

// What is read or written: the same for all engines.
struct target {
    int fd;
    const std::vector<kaio::file>* others; // further openings of the same, for all jobs but the first
    std::uint64_t blocks;                  // in the file
    std::size_t block_size;
    pattern what;
    unsigned depth; // of each loop
    unsigned jobs;  // threads, each with a loop of its own
};

constexpr const char* yardstick = "raw-ring";
constexpr double too_wide = 1.3; // of the rounds: beyond it nothing can be concluded

struct row {
    const engine* how;
    unsigned depth;
    unsigned jobs;
    std::string why_not;         // why nothing was measured, or "": then the rest is there
    std::uint64_t requests;      // in each round
    std::vector<double> rates;   // requests per second, of each round
    double rate;                 // median
    std::optional<double> ratio; // of rate to the yardstick's, median over the rounds
    double spread;               // fastest round to slowest, of five or more without these two
    double user, system;         // µs of CPU per request, medians
    recorder times;              // of the latency rounds
    std::optional<double> calls; // system calls per request

    bool noisy() const noexcept { return spread > too_wide; }
};

// A row for each engine that makes sense at this depth, in order; `progress(what)` is called before each pass.
// Throws interrupted if a signal asks to stop.
std::vector<row> measure(const plan& what, const target& to, const std::function<void(const std::string&)>& progress);

// Passes of one engine at one depth that measure makes, about.
constexpr unsigned passes(const plan& what) { return what.rounds + what.latency_rounds + 3; }

// Runs one engine alone: `requests` of each loop and nothing else, for tools that count from outside.
void run_alone(const engine& how, const target& to, std::uint64_t requests, std::uint64_t seed);

// SIGINT, SIGTERM and SIGHUP are kept back, and looked at between the passes: no measured wait is cut short by them.
struct interrupted {
    int signal;
};
void hold_signals();
void stop_if_asked();

} // namespace bench
