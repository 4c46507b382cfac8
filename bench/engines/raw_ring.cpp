#include "engines/raw.hpp"

namespace {

struct calls : bench::raw_calls {
    using raw_calls::raw_calls;
    template <class Done> void reap(Done done) {
        if (!take(done)) get_events(done);
    }
};

} // namespace

bench::engine bench::raw_ring() {
    return batch_engine<calls>(
        {.name = "raw-ring", .what = "by hand: io_submit, events read in the ring, else io_getevents"});
}
