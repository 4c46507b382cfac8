// Times requests of one kind, one at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <kaio/io/context.hpp>
#include <kaio/io/request.hpp>

#include "verdict.hpp"

namespace probe {

struct operation {
    std::string name;
    std::size_t bytes;                           // that one request transfers
    std::function<kaio::request(unsigned)> make; // the n-th request
    std::function<void(unsigned)> prepare = {};  // prepares the n-th request, untimed
    std::string error = {};                      // why there can be no such request, or ""
};

struct effort {
    unsigned repetitions = 200;
    double seconds = 1; // per operation; a few repetitions are made in any case
};

// REQUIRES: nothing is in flight in the context
timing measure(kaio::context& context, const operation& operation, effort limits);

// Sends the same requests, one at a time, through a loop with a helper. REQUIRES: measure had no error
helped measure_with_helpers(const operation& operation, effort limits);

} // namespace probe
