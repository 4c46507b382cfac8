#include "engines/raw.hpp"

namespace {

class this_engine final : public bench::engine {
    std::string name() const override { return "raw-syscall"; }
    std::string what() const override { return "by hand: io_submit and io_getevents"; }
    void run(const bench::workload& work) const override {
        std::vector<io_event> events(work.depth);
        bench::run_raw(work, [&](aio_context_t id, unsigned max, auto visit) {
            long const count = ::syscall(SYS_io_getevents, id, 1, max, events.data(), nullptr);
            for (long i = 0; i < count; ++i) visit(events[static_cast<std::size_t>(i)]);
        });
    }
};

} // namespace

bench::engine_ptr bench::raw_syscall() { return std::make_unique<this_engine>(); }
