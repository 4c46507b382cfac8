// Measures engines against one another on one medium at one depth. Interleaved rounds come first, then rounds that time
// each request, rounds that watch the thread's turns, and one that counts system calls.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <kaio/io/file.hpp>

#include "engine.hpp"
#include "media.hpp"

namespace bench {

struct plan {
    std::vector<const engine*> engines;
    unsigned rounds;
    unsigned latency_rounds;
    unsigned turn_rounds;
    std::uint64_t requests; // of each loop in each round; 0: as many as `seconds` allow
    double seconds;         // of one round of one engine
    double ramp;            // seconds before each round, which are not measured
    std::uint64_t seed;
};

// What all engines read or write.
struct target {
    int fd;
    const std::vector<kaio::file>* others; // the file's openings for all jobs but the first
    std::uint64_t blocks;                  // in the file
    std::size_t block_size;
    bench::pattern pattern;
    bench::state state; // of the file when an engine begins
    unsigned depth;     // of each loop
    unsigned jobs;      // threads, each with its own loop
};

constexpr const char* yardstick = "raw-ring";
constexpr double too_wide = 1.3; // a spread beyond it allows no conclusions

struct row {
    const bench::engine* engine;
    unsigned depth;
    unsigned jobs;
    std::string why_not;         // why nothing was measured, or "" if the members below are valid
    std::uint64_t requests;      // in each round
    std::vector<double> rates;   // requests per second, of each round
    double rate;                 // median
    std::optional<double> ratio; // of rate to the yardstick's, median over the rounds
    double spread;               // fastest round to slowest, of five or more without these two
    double user, system;         // µs of CPU per request, medians
    recorder times;              // of the latency and turn rounds
    std::optional<double> calls; // system calls per request

    bool noisy() const noexcept { return spread > too_wide; }
};

// Returns a row for each engine that makes sense at this depth, in order. Calls progress(text) before each pass. Throws
// interrupted if a signal asks to stop.
std::vector<row> measure(const plan& plan, const target& target,
                         const std::function<void(const std::string&)>& progress);

// Returns about how many passes measure makes with one engine at one depth.
constexpr unsigned passes(const plan& plan) { return plan.rounds + plan.latency_rounds + plan.turn_rounds + 3; }

// Runs one engine alone: `requests` of each loop and nothing else, for tools that count from outside.
void run_alone(const engine& engine, const target& target, std::uint64_t requests, std::uint64_t seed);

// SIGINT, SIGTERM and SIGHUP are blocked, and looked for between the passes, so that none cuts a measured wait short.
struct interrupted {
    int signal;
};
void hold_signals();
void stop_if_asked();

} // namespace bench
