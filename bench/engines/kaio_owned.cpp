#include <memory>
#include <span>

#include "engines/kaio_callbacks.hpp"

namespace {

template <class Loop> struct owned {
    struct handler {
        owned& form;
        std::size_t place;
        kaio::operation* self = nullptr;

        void next() { form.loop.submit(bench::make_request(form.all.fd(), form.all.next(place)), *self); }
        void operator()(kaio::io_result r) {
            form.all.end(place, r.res());
            if (form.all.more()) next();
        }
    };
    using operation = kaio::owned_operation<handler>;

    bench::pass& all;
    std::vector<std::unique_ptr<operation>> operations = {}; // outlive the loop
    Loop loop;

    void run() {
        for (std::size_t i = 0; i < all.depth() && all.more(); ++i) {
            auto& op = operations.emplace_back(std::make_unique<operation>(handler{*this, i}));
            op->handler().self = op.get();
            op->handler().next();
        }
        loop.run();
    }
};

class this_engine final : public bench::engine {
    std::string name() const override { return "kaio-owned"; }
    std::string what() const override { return "kaio's loop with operations that the caller owns"; }
    void run(const bench::workload& work) const override { bench::run_form<owned>(work, {}); }
};

} // namespace

bench::engine_ptr bench::kaio_owned() { return std::make_unique<this_engine>(); }
