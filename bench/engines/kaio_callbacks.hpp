// The callback form of kaio, which three engines share: they differ in the loop's options only.
#pragma once

#include <span>

#include <kaio/kaio.hpp>

#include "engine.hpp"

namespace bench {

inline void run_callbacks(const workload& work, kaio::loop_options options) {
    struct state {
        const workload& work;
        kaio::loop loop;
        random_offsets offset;
        std::uint64_t left;

        void next(slot& place) {
            --left;
            place.begin(work);
            loop.submit(kaio::read(work.fd, std::span(place.buffer, work.block_size), offset()),
                        [this, &place](kaio::io_result r) {
                            place.end(work, r.res());
                            if (left != 0) next(place);
                        });
        }
    };
    auto places = slots(work); // outlive the loop
    state all{work, kaio::loop(work.depth, options), work.offsets(), work.requests};
    work.measured->begin();
    for (slot& place : places) all.next(place);
    all.loop.run();
    work.measured->end();
}

} // namespace bench
