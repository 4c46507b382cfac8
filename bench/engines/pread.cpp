#include "engines/batch_engine.hpp"
#include "engines/blocking_call.hpp"

namespace {

struct calls {
    bench::pass& pass;
    bench::op next{};

    void prepare(std::size_t, const bench::op& request) noexcept { next = request; }
    template <class Done> void reap(Done done) {
        pass.handed_over(1);
        done(0, bench::blocking_call(pass.fd(), next));
    }
};

} // namespace

bench::engine bench::pread_engine() {
    return batch_engine<calls>(
        {.name = "pread", .what = "one thread, one blocking pread or pwrite after the other (depth 1)", .deepest = 1});
}
