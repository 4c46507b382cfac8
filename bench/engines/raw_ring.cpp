#include "engines/raw.hpp"

namespace {

struct batches : bench::raw_batches {
    using raw_batches::raw_batches;
    template <class Done> void turn(Done done) {
        submit();
        if (!take(done)) get_events(done);
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "raw-ring"; }
    std::string what() const override { return "by hand: io_submit, events read in the ring, else io_getevents"; }
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        batches how(all);
        bench::run_batches(all, how);
    }
};

} // namespace

bench::engine_ptr bench::raw_ring() { return std::make_unique<this_engine>(); }
