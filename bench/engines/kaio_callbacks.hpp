// kaio's loop with callbacks, which three engines share: they differ in the loop's options only.
#pragma once

#include <span>

#include <kaio/kaio.hpp>

#include "engine.hpp"

namespace bench {

inline kaio::request make_request(int fd, const op& of) noexcept {
    std::span const buffer(of.buffer, of.size);
    switch (of.what) {
    case action::read:
        return kaio::read(fd, buffer, of.offset);
    case action::write:
        return kaio::write(fd, buffer, of.offset);
    case action::sync:
        break;
    }
    return kaio::fsync(fd);
}

// Tells the pass how long each io_submit took.
struct submit_timer {
    pass* all = nullptr;
    void on_submit() noexcept {}
    void on_complete() noexcept {}
    void on_batch(unsigned, unsigned, std::int64_t ns) noexcept { all->record()->stuck.add(ns); }
    void on_wait() noexcept {}
};

template <class Loop> Loop open_loop(pass& all, kaio::loop_options options) {
    if (options.setup.events == kaio::reaping::automatic) options.setup.events = kaio::reaping::ring; // Valgrind too
    Loop loop(all.depth(), options);
    if constexpr (requires { loop.observer().all; }) loop.observer().all = &all;
    return loop;
}

using timed_loop = kaio::basic_loop<kaio::linux_kernel, submit_timer>;

// Form<Loop>(all, loop).run(), with a loop that times its submissions if the pass wants to know.
template <template <class> class Form> void run_form(const workload& work, kaio::loop_options options) {
    pass all(work);
    if (all.timed())
        Form<timed_loop>{.all = all, .loop = open_loop<timed_loop>(all, options)}.run();
    else
        Form<kaio::loop>{.all = all, .loop = open_loop<kaio::loop>(all, options)}.run();
}

template <class Loop> struct callbacks {
    pass& all;
    Loop loop;

    void next(std::size_t place) {
        loop.submit(make_request(all.fd(), all.next(place)), [this, place](kaio::io_result r) {
            all.end(place, r.res());
            if (all.more()) next(place);
        });
    }
    void run() {
        for (std::size_t i = 0; i < all.depth() && all.more(); ++i) next(i);
        loop.run();
    }
};

} // namespace bench
