// The figures of a run as JSON, for bench/plot and other programs.
#pragma once

#include <string>
#include <vector>

#include "options.hpp"
#include "report.hpp"

namespace bench {

std::string to_json(const settings& settings, const std::vector<chapter>& all, const instruction_counts& instructions);

} // namespace bench
