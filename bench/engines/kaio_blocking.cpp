#include "engines/kaio_callbacks.hpp"

namespace {
class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-blocking"; }
    std::string what() const override { return "the same, sleeping at once when the ring is empty"; }
    void run(const bench::workload& work) const override {
        bench::run_form<bench::callbacks>(work, {.spin_limit = kaio::duration::zero()});
    }
};
} // namespace

bench::engine_ptr bench::kaio_blocking() { return std::make_unique<this_engine>(); }
