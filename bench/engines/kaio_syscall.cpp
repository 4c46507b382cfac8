#include "engines/kaio_callbacks.hpp"

namespace {
class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-syscall"; }
    std::string what() const override { return "the same through io_getevents, without the ring"; }
    void run(const bench::workload& work) const override {
        bench::run_form<bench::callbacks>(work, {.setup = {.events = kaio::reaping::syscall}});
    }
};
} // namespace

bench::engine_ptr bench::kaio_syscall() { return std::make_unique<this_engine>(); }
