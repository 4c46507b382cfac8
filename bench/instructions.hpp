// Counts the instructions that a request costs in user space. This program runs again under callgrind, with one engine
// and two numbers of requests. The difference does not contain its start and its end.
#pragma once

#include <functional>

#include "report.hpp"

namespace bench {

// Counts on /dev/null at `depth`. /dev/null completes requests at once, so each count is the same.
instruction_counts count_instructions(const std::vector<const engine*>& engines, unsigned depth,
                                      const std::function<void(const std::string&)>& progress);

} // namespace bench
