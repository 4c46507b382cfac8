// Counts system calls for real: with a perf counter, for root, which slows nothing; else in a child process under
// ptrace, where each call takes so long that requests complete meanwhile and the counts of an asynchronous file are too
// low.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "jobs.hpp"

namespace bench {

// The system calls per request of one pass, without those that open and close the engine. None where neither way is
// permitted, where the pass fails, and under ptrace for engines with threads of their own.
std::optional<double> count_system_calls(const engine& how, job_runner& runner, std::uint64_t requests);

// How they were counted so far, where that matters; or "".
std::string system_calls_notice();

} // namespace bench
