// What every engine is: something that keeps so many requests in flight, and says who it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workload.hpp"

namespace bench {

// Throws std::system_error that names the call. `error` is an errno.
[[noreturn]] void call_failed(const std::string& call, int error);

class engine {
public:
    virtual ~engine() = default;
    virtual std::string name() const = 0;
    virtual std::string what() const = 0;                 // one line for --help
    virtual std::string missing() const { return {}; }    // why it can't be used in this build, or nothing
    virtual unsigned deepest() const { return 1u << 16; } // the greatest depth that makes sense
    virtual bool has_threads() const { return false; }    // of its own
    // Does the work once. Throws, before the first request, what says why this kernel refuses the engine.
    virtual void run(const workload& work) const = 0;
};

// The loop of all engines that hand over a batch and take what is finished: they differ in
// prepare(place, op), which makes a request, and turn(done), which submits what was prepared, waits for one result or
// more and calls done(place, result) for each.
template <class Engine> void run_batches(pass& all, Engine& how) {
    for (std::size_t i = 0; i < all.depth() && all.more(); ++i) how.prepare(i, all.next(i));
    while (all.unfinished())
        how.turn([&](std::size_t place, std::int64_t result) {
            all.end(place, result);
            if (all.more()) how.prepare(place, all.next(place));
        });
}

using engine_ptr = std::unique_ptr<engine>;

engine_ptr kaio_loop();
engine_ptr kaio_coroutine();
engine_ptr kaio_owned();
engine_ptr kaio_context();
engine_ptr kaio_syscall();
engine_ptr kaio_blocking();
engine_ptr raw_ring();
engine_ptr raw_polling();
engine_ptr raw_syscall();
engine_ptr libaio();
engine_ptr io_uring_normal();
engine_ptr io_uring_tuned();
engine_ptr posix_aio();
engine_ptr pread_pool();
engine_ptr pread_engine();

std::vector<engine_ptr> all_engines();

} // namespace bench
