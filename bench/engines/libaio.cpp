#include "engine.hpp"

#ifdef BENCH_LIBAIO
#include <cerrno>

#include <libaio.h>
#endif

namespace {

#ifdef BENCH_LIBAIO
class batches {
public:
    explicit batches(bench::pass& all) : all_(all), blocks_(all.depth()), batch_(all.depth()), events_(all.depth()) {
        int const made = ::io_setup(static_cast<int>(all.depth()), &context_);
        if (made != 0) bench::call_failed("io_setup", -made);
    }
    batches(const batches&) = delete;
    batches& operator=(const batches&) = delete;
    ~batches() { ::io_destroy(context_); }

    void prepare(std::size_t place, const bench::op& of) noexcept {
        iocb& block = blocks_[place];
        switch (of.what) {
        case bench::action::read:
            ::io_prep_pread(&block, all_.fd(), of.buffer, of.size, of.offset);
            break;
        case bench::action::write:
            ::io_prep_pwrite(&block, all_.fd(), of.buffer, of.size, of.offset);
            break;
        case bench::action::sync:
            ::io_prep_fsync(&block, all_.fd());
            break;
        }
        block.data = reinterpret_cast<void*>(place);
        batch_[static_cast<std::size_t>(count_++)] = &block;
    }
    template <class Done> void turn(Done done) {
        if (count_ != 0) {
            int const taken = all_.submitting([&] { return ::io_submit(context_, count_, batch_.data()); });
            if (taken != count_) bench::call_failed("io_submit", taken < 0 ? -taken : EAGAIN);
            count_ = 0;
        }
        int const got = ::io_getevents(context_, 1, static_cast<long>(all_.depth()), events_.data(), nullptr);
        for (int i = 0; i < got; ++i) {
            io_event const& event = events_[static_cast<std::size_t>(i)];
            done(reinterpret_cast<std::size_t>(event.data), static_cast<std::int64_t>(event.res));
        }
    }

private:
    bench::pass& all_;
    io_context_t context_ = nullptr;
    std::vector<iocb> blocks_;
    std::vector<iocb*> batch_;
    std::vector<io_event> events_;
    long count_ = 0;
};
#endif

class this_engine final : public bench::engine {
    std::string name() const override { return "libaio"; }
    std::string what() const override { return "libaio's idiom: io_submit and io_getevents(1, depth)"; }
#ifdef BENCH_LIBAIO
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        batches how(all);
        bench::run_batches(all, how);
    }
#else
    std::string missing() const override { return "not installed when this was built (libaio-dev)"; }
    void run(const bench::workload&) const override {}
#endif
};

} // namespace

bench::engine_ptr bench::libaio() { return std::make_unique<this_engine>(); }
