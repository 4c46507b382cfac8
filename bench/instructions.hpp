// Counts the instructions that a request costs in user space: runs this program again under callgrind with one engine,
// twice, and takes the difference, so that starting and ending are not in it.
#pragma once

#include <functional>

#include "report.hpp"

namespace bench {

// On /dev/null at `depth`, which completes at once, so that the count does not depend on the weather.
instruction_counts count_instructions(const std::vector<const engine*>& engines, unsigned depth,
                                      const std::function<void(const std::string&)>& progress);

} // namespace bench
