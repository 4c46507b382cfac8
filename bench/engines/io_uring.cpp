// io_uring in two forms: as most programs use it, and with what its authors recommend where one thread owns the ring.
#include "engine.hpp"

#ifdef BENCH_LIBURING
#include <cerrno>

#include <liburing.h>
#endif

namespace {

#ifdef BENCH_LIBURING
class batches {
public:
    batches(bench::pass& all, const bench::workload& work, bool tuned) : all_(all), tuned_(tuned) {
        io_uring_params how{};
        if (tuned) how.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        int const made = ::io_uring_queue_init_params(all.depth(), &ring_, &how);
        if (made != 0) bench::call_failed("io_uring_setup" + reason(-made), -made);
        if (!tuned) return;
        std::vector<iovec> buffers(all.depth());
        for (std::size_t i = 0; i < buffers.size(); ++i)
            buffers[i] = {work.buffers + i * work.block_size, work.block_size};
        int const fd = all.fd();
        int done = ::io_uring_register_files(&ring_, &fd, 1);
        if (done == 0) done = ::io_uring_register_buffers(&ring_, buffers.data(), all.depth());
        if (done != 0) {
            ::io_uring_queue_exit(&ring_);
            bench::call_failed("io_uring_register", -done);
        }
    }
    batches(const batches&) = delete;
    batches& operator=(const batches&) = delete;
    ~batches() { ::io_uring_queue_exit(&ring_); }

    void prepare(std::size_t place, const bench::op& of) noexcept {
        io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_); // there are as many as places
        int const fd = tuned_ ? 0 : all_.fd();
        auto const offset = static_cast<std::uint64_t>(of.offset);
        auto const size = static_cast<unsigned>(of.size);
        auto const index = static_cast<int>(place);
        switch (of.what) {
        case bench::action::read:
            if (tuned_)
                ::io_uring_prep_read_fixed(entry, fd, of.buffer, size, offset, index);
            else
                ::io_uring_prep_read(entry, fd, of.buffer, size, offset);
            break;
        case bench::action::write:
            if (tuned_)
                ::io_uring_prep_write_fixed(entry, fd, of.buffer, size, offset, index);
            else
                ::io_uring_prep_write(entry, fd, of.buffer, size, offset);
            break;
        case bench::action::sync:
            ::io_uring_prep_fsync(entry, fd, 0);
            break;
        }
        if (tuned_) entry->flags |= IOSQE_FIXED_FILE;
        ::io_uring_sqe_set_data64(entry, place);
    }
    template <class Done> void turn(Done done) {
        // One call submits and waits, so how long the submitting took can't be told.
        int const taken = ::io_uring_submit_and_wait(&ring_, 1);
        if (taken < 0 && taken != -EINTR) bench::call_failed("io_uring_enter", -taken);
        unsigned head, count = 0;
        io_uring_cqe* entry;
        io_uring_for_each_cqe(&ring_, head, entry) {
            done(::io_uring_cqe_get_data64(entry), entry->res);
            ++count;
        }
        ::io_uring_cq_advance(&ring_, count);
    }

private:
    static std::string reason(int error) {
        if (error == EPERM) return " (kernel.io_uring_disabled, or a seccomp filter)";
        if (error == ENOSYS) return " (the kernel is built without it, or a seccomp filter)";
        if (error == EINVAL) return " (SINGLE_ISSUER and DEFER_TASKRUN need Linux 6.1)";
        return {};
    }

    bench::pass& all_;
    bool tuned_;
    io_uring ring_{};
};
#endif

class this_engine final : public bench::engine {
public:
    explicit this_engine(bool tuned) noexcept : tuned_(tuned) {}

private:
    std::string name() const override { return tuned_ ? "io_uring-tuned" : "io_uring"; }
    std::string what() const override {
        return tuned_ ? "the same, single issuer, deferred task work, registered file and buffers"
                      : "liburing's idiom: io_uring_submit_and_wait(1), then all that is finished";
    }
    unsigned deepest() const override { return 16384; } // entries of a ring, at least that many registered buffers
#ifdef BENCH_LIBURING
    void run(const bench::workload& work) const override {
        bench::pass all(work);
        batches how(all, work, tuned_);
        bench::run_batches(all, how);
    }
#else
    std::string missing() const override { return "not installed when this was built (liburing-dev)"; }
    void run(const bench::workload&) const override {}
#endif
    [[maybe_unused]] bool tuned_;
};

} // namespace

bench::engine_ptr bench::io_uring_normal() { return std::make_unique<this_engine>(false); }
bench::engine_ptr bench::io_uring_tuned() { return std::make_unique<this_engine>(true); }
