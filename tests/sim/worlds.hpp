// What the tests of simulated worlds share.
#pragma once

#include <cstddef>
#include <vector>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace test {

using simulated_loop = kaio::basic_loop<kaio::sim::kernel>;
using simulated_context = kaio::basic_context<kaio::sim::kernel>;

inline std::vector<std::byte> bytes(std::size_t size, char value) {
    return std::vector<std::byte>(size, std::byte(value));
}

// Submits one request, and returns its result.
template <class Loop> kaio::io_result ask(Loop& loop, const kaio::request& request) {
    kaio::io_result result(-1);
    loop.submit(request, [&](kaio::io_result r) { result = r; });
    loop.run();
    return result;
}

} // namespace test
