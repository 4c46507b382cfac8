#include <memory>
#include <span>

#include <kaio/kaio.hpp>

#include "engine.hpp"

namespace {

struct state {
    const bench::workload& work;
    kaio::loop loop;
    bench::random_offsets offset;
    std::uint64_t left;
};

struct handler {
    state& all;
    bench::slot place;
    kaio::operation* self = nullptr;

    void next() {
        --all.left;
        place.begin(all.work);
        all.loop.submit(kaio::read(all.work.fd, std::span(place.buffer, all.work.block_size), all.offset()), *self);
    }
    void operator()(kaio::io_result r) {
        place.end(all.work, r.res());
        if (all.left != 0) next();
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-owned"; }
    std::string what() const override { return "kaio's loop with operations that the caller owns"; }
    void run(const bench::workload& work) const override {
        std::vector<std::unique_ptr<kaio::owned_operation<handler>>> operations; // outlive the loop
        state all{work, kaio::loop(work.depth), work.offsets(), work.requests};
        for (bench::slot const& place : bench::slots(work)) {
            auto& op = operations.emplace_back(std::make_unique<kaio::owned_operation<handler>>(handler{all, place}));
            op->handler().self = op.get();
        }
        work.measured->begin();
        for (auto& op : operations) op->handler().next();
        all.loop.run();
        work.measured->end();
    }
};

} // namespace

bench::engine_ptr bench::kaio_owned() { return std::make_unique<this_engine>(); }
