#include "engines/raw.hpp"

namespace {

struct ring {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    io_event events[1];
};

class this_engine final : public bench::engine {
    std::string name() const override { return "raw-ring"; }
    std::string what() const override {
        return "by hand: io_submit, events read in place in the ring, else io_getevents";
    }
    void run(const bench::workload& work) const override {
        std::vector<io_event> events(work.depth);
        bench::run_raw(work, [&](aio_context_t id, unsigned max, auto visit) {
            auto* const mapped = reinterpret_cast<ring*>(id);
            unsigned head = mapped->head;
            unsigned tail = __atomic_load_n(&mapped->tail, __ATOMIC_ACQUIRE);
            if (head == tail) {
                long const count = ::syscall(SYS_io_getevents, id, 1, max, events.data(), nullptr);
                for (long i = 0; i < count; ++i) visit(events[static_cast<std::size_t>(i)]);
                return;
            }
            unsigned const slots = mapped->nr;
            do {
                visit(mapped->events[head]);
                if (++head == slots) head = 0;
            } while (head != tail);
            __atomic_store_n(&mapped->head, head, __ATOMIC_RELEASE);
        });
    }
};

} // namespace

bench::engine_ptr bench::raw_ring() { return std::make_unique<this_engine>(); }
