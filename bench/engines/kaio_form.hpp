// What the engines over kaio's loop share, and the form with callbacks, which three of them use.
#pragma once

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

#include "engine.hpp"
#include "engines/kaio_request.hpp"

namespace bench {

// Tells the pass of each turn.
struct turn_timer {
    bench::pass* pass = nullptr;
    void on_submit() noexcept {}
    void on_complete() noexcept {}
    void on_batch(unsigned accepted, unsigned, std::int64_t) noexcept { pass->handed_over(accepted); }
    void on_turn_end() noexcept { pass->end_turn(); }
    void on_turn_begin() noexcept { pass->begin_turn(); }
};
using timed_loop = kaio::basic_loop<kaio::linux_kernel, turn_timer>;

// Opens a loop, with helpers if there is a team.
template <class Loop> Loop open_loop(const bench::pass& pass, kaio::loop_options options, kaio::helper_team* team) {
    if (options.setup.events == kaio::reaping::automatic) options.setup.events = kaio::reaping::ring; // Valgrind too
    return team ? Loop(pass.depth(), *team, options) : Loop(pass.depth(), options);
}

// A timer of a millisecond that is set again and again, beside the requests. It tells the pass how late it was.
template <class Loop> void tick(Loop& loop, bench::pass& pass) {
    constexpr std::int64_t period = 1'000'000; // ns
    loop.submit(kaio::after(kaio::duration::from_ns(period)), [&, due = bench::pass::now() + period](kaio::io_result) {
        pass.timer_was_late(bench::pass::now() - due);
        if (pass.unfinished()) tick(loop, pass);
    });
}

// Calls Form<Loop>{pass, loop}.run(). The loop reports its turns, and has a timer, if turns are recorded.
template <template <class> class Form>
void run_form(const workload& work, kaio::loop_options options, kaio::helper_team* team = nullptr) {
    bench::pass pass(work);
    if (pass.records_turns()) {
        Form<timed_loop> form{.pass = pass, .loop = open_loop<timed_loop>(pass, options, team)};
        form.loop.observer().pass = &pass;
        tick(form.loop, pass);
        form.run();
    } else {
        Form<kaio::loop>{.pass = pass, .loop = open_loop<kaio::loop>(pass, options, team)}.run();
    }
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
