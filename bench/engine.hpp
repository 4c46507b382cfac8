// An engine keeps a number of requests in flight, in its own way. Each file in engines/ defines one or two.
#pragma once

#include <string>
#include <vector>

#include "workload.hpp"

namespace bench {

struct engine {
    std::string name;
    std::string what;            // one line for --help
    unsigned deepest = 1u << 16; // the greatest depth that makes sense
    bool has_threads = false;    // of its own
    std::string missing = {};    // why this build can't use it, or ""
    // Does the work once. If this kernel refuses the engine, throws the reason before the first request.
    void (*run)(const workload& work) = nullptr;
};

// Throws std::system_error that names the call. `error` is an errno.
[[noreturn]] void call_failed(const std::string& call, int error);

engine kaio_loop();
engine kaio_coroutine();
engine kaio_owned();
engine kaio_helpers();
engine kaio_helpers_4();
engine kaio_context();
engine kaio_syscall();
engine kaio_blocking();
engine raw_ring();
engine raw_spinning();
engine raw_syscall();
engine libaio();
engine io_uring_normal();
engine io_uring_tuned();
engine posix_aio();
engine pread_pool();
engine pread_pool_4();
engine pread_engine();

std::vector<engine> all_engines();

} // namespace bench
