#include <span>

#include <kaio/io/context.hpp>
#include <kaio/io/request.hpp>

#include "engine.hpp"

namespace {

class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-raw"; }
    std::string what() const override { return "kaio's raw layer: submit, reap, wait when the ring is empty"; }
    void run(const bench::workload& work) const override {
        kaio::context context(work.depth);
        auto places = bench::slots(work);
        auto offset = work.offsets();
        std::vector<kaio::iocb> blocks(work.depth);
        std::vector<kaio::iocb*> batch;
        std::vector<kaio::io_event> events(work.depth);
        batch.reserve(work.depth);
        std::uint64_t left = work.requests, done = 0;
        auto const next = [&](std::size_t i) {
            --left;
            places[i].begin(work);
            blocks[i] = kaio::read(work.fd, std::span(places[i].buffer, work.block_size), offset());
            blocks[i].aio_data = i;
            batch.push_back(&blocks[i]);
        };
        work.measured->begin();
        for (std::size_t i = 0; i < work.depth; ++i) next(i);
        while (done < work.requests) {
            if (auto const all = context.submit(batch); !all) bench::call_failed("io_submit", all.error_number());
            batch.clear();
            unsigned const count = context.wait(events).value("io_getevents");
            for (kaio::io_event const& event : std::span(events).first(count)) {
                places[event.data].end(work, event.res);
                ++done;
                if (left != 0) next(event.data);
            }
        }
        work.measured->end();
    }
};

} // namespace

bench::engine_ptr bench::kaio_context() { return std::make_unique<this_engine>(); }
