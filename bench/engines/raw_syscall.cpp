#include "engines/raw.hpp"

namespace {

struct calls : bench::raw_calls {
    using raw_calls::raw_calls;
    template <class Done> void reap(Done done) { get_events(done); }
};

} // namespace

bench::engine bench::raw_syscall() {
    return batch_engine<calls>({.name = "raw-syscall", .what = "by hand: io_submit and io_getevents"});
}
