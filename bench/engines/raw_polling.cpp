#include <kaio/sys/kernel.hpp>

#include "engines/raw.hpp"

namespace {

struct batches : bench::raw_batches {
    using raw_batches::raw_batches;
    template <class Done> void turn(Done done) {
        submit();
        while (!take(done)) kaio::linux_kernel::relax();
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "raw-polling"; }
    std::string what() const override { return "by hand: the same, looking at the ring without ever sleeping"; }
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        batches how(all);
        bench::run_batches(all, how);
    }
};

} // namespace

bench::engine_ptr bench::raw_polling() { return std::make_unique<this_engine>(); }
