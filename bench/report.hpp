// The table, and what it says in words.
#pragma once

#include <string>
#include <vector>

#include "measure.hpp"

namespace bench {

std::string table(const std::vector<row>& rows);

// Three sentences, from the figures of this run.
std::string meaning(const std::vector<row>& rows, unsigned rounds);

} // namespace bench
