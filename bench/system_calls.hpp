// Counts system calls. For root a perf counter does it, which slows nothing down. For others a child process runs under
// ptrace. Each call is slow there, so requests complete meanwhile, and the counts of an asynchronous file are too low.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jobs.hpp"

namespace bench {

// Returns the system calls per request of one pass, without those that open and close the engine. Returns none if
// neither way is permitted, if the pass fails, and under ptrace for engines with threads.
std::optional<double> count_system_calls(const engine& engine, job_runner& runner, std::uint64_t requests);

// Returns a text about how they were counted so far, if that matters, or "".
std::string system_calls_notice();

} // namespace bench
