#include <kaio/coro/spawn.hpp>
#include <kaio/coro/task.hpp>

#include "engines/kaio_callbacks.hpp"

namespace {

template <class Loop> struct coroutines {
    bench::pass& all;
    Loop loop;

    kaio::task<void> serve(std::size_t place) {
        while (all.more()) {
            kaio::io_result const r = co_await loop.submit(bench::make_request(all.fd(), all.next(place)));
            all.end(place, r.res());
        }
    }
    void run() {
        for (std::size_t i = 0; i < all.depth(); ++i) kaio::spawn(loop, serve(i));
        loop.run();
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-coro"; }
    std::string what() const override { return "kaio's loop with coroutines, one for each request in flight"; }
    void run(const bench::workload& work) const override { bench::run_form<coroutines>(work, {}); }
};

} // namespace

bench::engine_ptr bench::kaio_coroutine() { return std::make_unique<this_engine>(); }
