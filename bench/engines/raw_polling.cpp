#include <kaio/sys/kernel.hpp>

#include "engines/raw.hpp"

namespace {

struct calls : bench::raw_calls {
    using raw_calls::raw_calls;
    template <class Done> void reap(Done done) {
        while (!take(done)) kaio::linux_kernel::relax();
    }
};

} // namespace

bench::engine bench::raw_polling() {
    return batch_engine<calls>(
        {.name = "raw-polling", .what = "by hand: the same, looking at the ring without ever sleeping"});
}
