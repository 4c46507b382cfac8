#include <memory>
#include <vector>

#include "engines/kaio_form.hpp"

namespace {

template <class Loop> struct owned {
    struct handler {
        owned& form;
        std::size_t place;
        kaio::operation* self = nullptr;

        void next() { form.loop.submit(bench::make_request(form.pass.fd(), form.pass.next(place)), *self); }
        void operator()(kaio::io_result r) {
            form.pass.end(place, r.res());
            if (form.pass.more()) next();
        }
    };
    using operation = kaio::owned_operation<handler>;

    bench::pass& pass;
    std::vector<std::unique_ptr<operation>> operations = {}; // outlive the loop
    Loop loop;

    void run() {
        for (std::size_t i = 0; i < pass.depth() && pass.more(); ++i) {
            auto& op = operations.emplace_back(std::make_unique<operation>(handler{*this, i}));
            op->handler().self = op.get();
            op->handler().next();
        }
        loop.run();
    }
};

} // namespace

bench::engine bench::kaio_owned() {
    return {.name = "kaio-owned",
            .what = "kaio's loop with operations that the caller owns",
            .run = [](const workload& work) { run_form<owned>(work, {}); }};
}
