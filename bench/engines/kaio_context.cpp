#include <span>

#include <kaio/io/context.hpp>

#include "engines/kaio_callbacks.hpp"

namespace {

struct batches {
    bench::pass& all;
    kaio::context context{all.depth(), {.events = kaio::reaping::ring}};
    std::vector<kaio::iocb> blocks = std::vector<kaio::iocb>(all.depth());
    std::vector<kaio::iocb*> batch;
    std::vector<kaio::io_event> events = std::vector<kaio::io_event>(all.depth());

    void prepare(std::size_t place, const bench::op& of) {
        blocks[place] = bench::make_request(all.fd(), of);
        blocks[place].aio_data = place;
        batch.push_back(&blocks[place]);
    }
    template <class Done> void turn(Done done) {
        auto const taken = all.submitting([&] { return context.submit(batch); });
        if (!taken) bench::call_failed("io_submit", taken.error_number());
        batch.clear();
        unsigned const count = context.wait(events).value("io_getevents");
        for (kaio::io_event const& event : std::span(events).first(count)) done(event.data, event.res);
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-raw"; }
    std::string what() const override { return "kaio's raw layer: submit, reap, wait when the ring is empty"; }
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        batches how{.all = all, .batch = {}};
        how.batch.reserve(work.depth);
        bench::run_batches(all, how);
    }
};

} // namespace

bench::engine_ptr bench::kaio_context() { return std::make_unique<this_engine>(); }
