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
    std::function<void(unsigned)> prepare = {};  // what must come before it, untimed
    std::string error = {};                      // why there can be none
};

struct effort {
    unsigned repetitions = 200;
    double seconds = 1; // per operation; stops there once a few repetitions are done
};

// REQUIRES: nothing is in flight in the context
timing measure(kaio::context& context, const operation& what, effort limits);

} // namespace probe
