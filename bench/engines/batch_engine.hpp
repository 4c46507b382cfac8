// The engines that submit a batch of requests, and then reap what has completed. They share one loop, and differ in
// their calls:
//
//     explicit calls(pass& pass);                            sets up; throws if the kernel refuses
//     void prepare(std::size_t place, const op& request);    makes the request of a place
//     void submit();                                         submits what was prepared
//     template <class Done> void reap(Done done);            waits for one result or more: done(place, result) for each
//
// An engine has no submit() if prepare() or reap() does that too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine.hpp"

namespace bench {

// Returns `facts` with a `run` that makes these calls. They are compiled into its loop, so none is virtual.
template <class Calls> engine batch_engine(engine facts) {
    facts.run = [](const workload& work) {
        bench::pass pass(work);
        Calls calls{pass};
        for (std::size_t i = 0; i < pass.depth() && pass.more(); ++i) calls.prepare(i, pass.next(i));
        while (pass.unfinished()) {
            pass.end_turn();
            pass.begin_turn();
            if constexpr (requires { calls.submit(); }) calls.submit();
            calls.reap([&](std::size_t place, std::int64_t result) {
                pass.end(place, result);
                if (pass.more()) calls.prepare(place, pass.next(place));
            });
        }
    };
    return facts;
}

} // namespace bench
