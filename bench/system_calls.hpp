// Counts system calls for real: with a perf counter, for root, which slows nothing; else in a child process under
// ptrace, where each call takes so long that reads complete meanwhile and the counts of an asynchronous file are too low.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine.hpp"

namespace bench {

struct call_counts {
    bool slowed = false; // some were counted under ptrace
    std::string why_not; // why some could not be counted, or ""
};

// The system calls per request of one pass, without those that open and close the engine. None, with a reason, where
// neither way is permitted or the pass fails.
std::optional<double> count_system_calls(const engine& how, workload work, call_counts& notes);

} // namespace bench
