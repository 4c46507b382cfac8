#include "engines/pread.hpp"

#include "engine.hpp"

namespace {

struct one_by_one {
    bench::pass& all;
    bench::op next{};

    void prepare(std::size_t, const bench::op& of) noexcept { next = of; }
    template <class Done> void turn(Done done) {
        done(0, all.submitting([&] { return bench::blocking_call(all.fd(), next); }));
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "pread"; }
    std::string what() const override { return "one thread, one blocking pread or pwrite after the other (depth 1)"; }
    unsigned deepest() const override { return 1; }
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        one_by_one how{all};
        bench::run_batches(all, how);
    }
};

} // namespace

bench::engine_ptr bench::pread_engine() { return std::make_unique<this_engine>(); }
