#include <kaio/sys/kernel.hpp>

#include "engines/raw.hpp"

namespace {

struct calls : bench::raw_calls {
    using raw_calls::raw_calls;
    template <class Done> void reap(Done done) {
        while (!take(done)) {
            pass.end_turn();
            while (empty()) kaio::linux_kernel::relax();
            pass.begin_turn();
        }
    }
};

} // namespace

bench::engine bench::raw_spinning() {
    return batch_engine<calls>(
        {.name = "raw-spinning", .what = "by hand: the same, spinning while the ring is empty, without ever sleeping"});
}
