#include "engines/kaio_callbacks.hpp"

namespace {
class this_engine final : public bench::engine {
    std::string name() const override { return "kaio"; }
    std::string what() const override { return "kaio's loop with callbacks: the mapped ring, adaptive polling"; }
    void run(const bench::workload& work) const override { bench::run_form<bench::callbacks>(work, {}); }
};
} // namespace

bench::engine_ptr bench::kaio_loop() { return std::make_unique<this_engine>(); }
