#include "engine.hpp"

#ifdef BENCH_LIBAIO
#include <cerrno>

#include <libaio.h>
#endif

namespace {

class this_engine final : public bench::engine {
    std::string name() const override { return "libaio"; }
    std::string what() const override { return "libaio's idiom: io_submit and io_getevents(1, depth)"; }
#ifdef BENCH_LIBAIO
    void run(const bench::workload& work) const override {
        io_context_t context = nullptr;
        int const made = ::io_setup(static_cast<int>(work.depth), &context);
        if (made != 0) bench::call_failed("io_setup", -made);
        auto places = bench::slots(work);
        auto offset = work.offsets();
        std::vector<iocb> blocks(work.depth);
        std::vector<iocb*> batch(work.depth);
        std::vector<io_event> events(work.depth);
        long count = 0;
        std::uint64_t left = work.requests, done = 0;
        auto const next = [&](std::size_t i) {
            --left;
            places[i].begin(work);
            ::io_prep_pread(&blocks[i], work.fd, places[i].buffer, work.block_size, offset());
            blocks[i].data = reinterpret_cast<void*>(i);
            batch[static_cast<std::size_t>(count++)] = &blocks[i];
        };
        work.measured->begin();
        for (std::size_t i = 0; i < work.depth; ++i) next(i);
        while (done < work.requests) {
            int const taken = count != 0 ? ::io_submit(context, count, batch.data()) : 0;
            if (taken != count) bench::call_failed("io_submit", taken < 0 ? -taken : EAGAIN);
            count = 0;
            int const got = ::io_getevents(context, 1, static_cast<long>(work.depth), events.data(), nullptr);
            for (int i = 0; i < got; ++i) {
                io_event const& event = events[static_cast<std::size_t>(i)];
                auto const place = reinterpret_cast<std::size_t>(event.data);
                places[place].end(work, static_cast<std::int64_t>(event.res));
                ++done;
                if (left != 0) next(place);
            }
        }
        work.measured->end();
        ::io_destroy(context);
    }
#else
    std::string missing() const override { return "not installed when this was built (libaio-dev)"; }
    void run(const bench::workload&) const override {}
#endif
};

} // namespace

bench::engine_ptr bench::libaio() { return std::make_unique<this_engine>(); }
