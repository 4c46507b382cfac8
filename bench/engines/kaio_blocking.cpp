#include "engines/kaio_callbacks.hpp"

namespace {
class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-blocking"; }
    std::string what() const override { return "the same with the ring, sleeping at once when it is empty"; }
    void run(const bench::workload& work) const override {
        bench::run_callbacks(work, {.poll_limit = kaio::timeout::zero()});
    }
};
} // namespace

bench::engine_ptr bench::kaio_blocking() { return std::make_unique<this_engine>(); }
