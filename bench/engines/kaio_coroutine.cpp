#include <kaio/coro/spawn.hpp>
#include <kaio/coro/task.hpp>

#include "engines/kaio_form.hpp"

namespace {

template <class Loop> struct coroutines {
    bench::pass& pass;
    Loop loop;

    kaio::task<void> serve(std::size_t place) {
        while (pass.more()) {
            kaio::io_result const r = co_await loop.submit(bench::make_request(pass.fd(), pass.next(place)));
            pass.end(place, r.res());
        }
    }
    void run() {
        for (std::size_t i = 0; i < pass.depth(); ++i) kaio::spawn(loop, serve(i));
        loop.run();
    }
};

} // namespace

bench::engine bench::kaio_coroutine() {
    return {.name = "kaio-coro",
            .what = "kaio's loop with coroutines, one for each request in flight",
            .run = [](const workload& work) { run_form<coroutines>(work, {}); }};
}
