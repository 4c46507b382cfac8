// The loops that the tests of this folder share.
#pragma once

#include "support/scripted_kernel.hpp"

#include <kaio/loop/loop.hpp>

namespace test {

using scripted_loop = kaio::basic_loop<scripted_kernel>;

// Options of a loop that takes its events from the ring, or by io_getevents.
inline kaio::loop_options reaped_by(kaio::reaping events) { return {.setup = {.events = events}}; }

} // namespace test
