#include <span>

#include <kaio/io/context.hpp>

#include "engines/aio_batch.hpp"
#include "engines/kaio_request.hpp"

namespace {

class calls : bench::aio_batch<kaio::iocb, kaio::io_event> {
public:
    explicit calls(bench::pass& p) : aio_batch(p), context_(pass.depth(), {.events = kaio::reaping::ring}) {}

    void prepare(std::size_t place, const bench::op& request) noexcept {
        kaio::iocb& block = add(place);
        block = bench::make_request(pass.fd(), request);
        block.aio_data = place;
    }
    void submit() {
        submit_batch([this](kaio::iocb** batch, std::size_t count) {
            auto const taken = context_.submit({batch, count});
            if (!taken) bench::call_failed("io_submit", taken.error_number());
        });
    }
    template <class Done> void reap(Done done) {
        unsigned const count = pass.waiting([&] { return context_.wait(events); }).value("io_getevents");
        for (kaio::io_event const& event : std::span(events).first(count)) done(event.data, event.res);
    }

private:
    kaio::context context_;
};

} // namespace

bench::engine bench::kaio_context() {
    return batch_engine<calls>(
        {.name = "kaio-raw", .what = "kaio's raw layer: submit, reap, wait when the ring is empty"});
}
