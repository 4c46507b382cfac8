// What the engines over kaio's loop share, and the form with callbacks, which three of them use.
#pragma once

#include <kaio/kaio.hpp>

#include "engine.hpp"
#include "engines/kaio_request.hpp"

namespace bench {

// Tells the pass how long each io_submit took.
struct submit_timer {
    bench::pass* pass = nullptr;
    void on_submit() noexcept {}
    void on_complete() noexcept {}
    void on_batch(unsigned, unsigned, std::int64_t ns) noexcept { pass->record()->stuck.add(ns); }
    void on_wait() noexcept {}
};

template <class Loop> Loop open_loop(bench::pass& pass, kaio::loop_options options) {
    if (options.setup.events == kaio::reaping::automatic) options.setup.events = kaio::reaping::ring; // Valgrind too
    Loop loop(pass.depth(), options);
    if constexpr (requires { loop.observer().pass; }) loop.observer().pass = &pass;
    return loop;
}

using timed_loop = kaio::basic_loop<kaio::linux_kernel, submit_timer>;

// Calls Form<Loop>{pass, loop}.run(). The loop times its submissions if the pass is timed.
template <template <class> class Form> void run_form(const workload& work, kaio::loop_options options) {
    bench::pass pass(work);
    if (pass.timed())
        Form<timed_loop>{.pass = pass, .loop = open_loop<timed_loop>(pass, options)}.run();
    else
        Form<kaio::loop>{.pass = pass, .loop = open_loop<kaio::loop>(pass, options)}.run();
}

template <class Loop> struct callbacks {
    bench::pass& pass;
    Loop loop;

    void next(std::size_t place) {
        loop.submit(make_request(pass.fd(), pass.next(place)), [this, place](kaio::io_result r) {
            pass.end(place, r.res());
            if (pass.more()) next(place);
        });
    }
    void run() {
        for (std::size_t i = 0; i < pass.depth() && pass.more(); ++i) next(i);
        loop.run();
    }
};

} // namespace bench
