#include "engines/aio_batch.hpp"

#ifdef BENCH_LIBAIO
#include <cerrno>

#include <libaio.h>
#endif

namespace {

#ifdef BENCH_LIBAIO
// <libaio.h> has structs of the same names as <linux/aio_abi.h>, which the raw engines include. With these types this
// file shares no instance of a template with those.
struct block : iocb {};
struct event : io_event {};

class calls : bench::aio_batch<block, event, iocb> {
public:
    explicit calls(bench::pass& p) : aio_batch(p) {
        int const made = ::io_setup(static_cast<int>(pass.depth()), &context_);
        if (made != 0) bench::call_failed("io_setup", -made);
    }
    ~calls() { ::io_destroy(context_); }

    void prepare(std::size_t place, const bench::op& request) noexcept {
        iocb& block = add(place);
        switch (request.action) {
        case bench::action::read:
            ::io_prep_pread(&block, pass.fd(), request.buffer, request.size, request.offset);
            break;
        case bench::action::write:
            ::io_prep_pwrite(&block, pass.fd(), request.buffer, request.size, request.offset);
            break;
        case bench::action::sync:
            ::io_prep_fsync(&block, pass.fd());
            break;
        }
        block.data = reinterpret_cast<void*>(place);
    }
    void submit() {
        submit_batch([this](iocb** batch, std::size_t count) {
            int const taken = ::io_submit(context_, static_cast<long>(count), batch);
            if (taken != static_cast<int>(count)) bench::call_failed("io_submit", taken < 0 ? -taken : EAGAIN);
        });
    }
    template <class Done> void reap(Done done) {
        int const count = pass.waiting(
            [&] { return ::io_getevents(context_, 1, static_cast<long>(pass.depth()), events.data(), nullptr); });
        for (int i = 0; i < count; ++i) {
            event const& e = events[static_cast<std::size_t>(i)];
            done(reinterpret_cast<std::size_t>(e.data), static_cast<std::int64_t>(e.res));
        }
    }

private:
    io_context_t context_ = nullptr;
};
#endif

} // namespace

bench::engine bench::libaio() {
    engine facts{.name = "libaio", .what = "libaio's idiom: io_submit and io_getevents(1, depth)"};
#ifdef BENCH_LIBAIO
    return batch_engine<calls>(facts);
#else
    facts.missing = "not installed when this was built (libaio-dev)";
    return facts;
#endif
}
