// io_uring in two forms: as most programs use it, and as its authors recommend where one thread owns the ring.
#include "engines/batch_engine.hpp"

#ifdef BENCH_LIBURING
#include <cerrno>
#include <string>
#include <vector>

#include <liburing.h>
#endif

namespace {

#ifdef BENCH_LIBURING
template <bool Tuned> class calls {
public:
    explicit calls(bench::pass& pass) : pass_(pass) {
        io_uring_params parameters{};
        if (Tuned) parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
        int const made = ::io_uring_queue_init_params(pass.depth(), &ring_, &parameters);
        if (made != 0) bench::call_failed("io_uring_setup" + reason(-made), -made);
        if (!Tuned) return;
        std::vector<iovec> buffers(pass.depth());
        for (std::size_t i = 0; i < buffers.size(); ++i)
            buffers[i] = {pass.work().buffers + i * pass.work().block_size, pass.work().block_size};
        int const fd = pass.fd();
        int done = ::io_uring_register_files(&ring_, &fd, 1);
        if (done == 0) done = ::io_uring_register_buffers(&ring_, buffers.data(), pass.depth());
        if (done != 0) {
            ::io_uring_queue_exit(&ring_);
            bench::call_failed("io_uring_register", -done);
        }
    }
    calls(const calls&) = delete;
    calls& operator=(const calls&) = delete;
    ~calls() { ::io_uring_queue_exit(&ring_); }

    void prepare(std::size_t place, const bench::op& request) noexcept {
        io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_); // never null: the queue has an entry for each place
        int const fd = Tuned ? 0 : pass_.fd();
        auto const offset = static_cast<std::uint64_t>(request.offset);
        auto const size = static_cast<unsigned>(request.size);
        auto const index = static_cast<int>(place);
        switch (request.action) {
        case bench::action::read:
            if (Tuned)
                ::io_uring_prep_read_fixed(entry, fd, request.buffer, size, offset, index);
            else
                ::io_uring_prep_read(entry, fd, request.buffer, size, offset);
            break;
        case bench::action::write:
            if (Tuned)
                ::io_uring_prep_write_fixed(entry, fd, request.buffer, size, offset, index);
            else
                ::io_uring_prep_write(entry, fd, request.buffer, size, offset);
            break;
        case bench::action::sync:
            ::io_uring_prep_fsync(entry, fd, 0);
            break;
        }
        if (Tuned) entry->flags |= IOSQE_FIXED_FILE;
        ::io_uring_sqe_set_data64(entry, place);
    }
    template <class Done> void reap(Done done) {
        int taken;
        if (pass_.records_turns()) { // one call that submits and waits would hide how long it submits
            taken = ::io_uring_submit(&ring_);
            if (taken > 0) pass_.handed_over(static_cast<unsigned>(taken));
            if (taken >= 0) taken = pass_.waiting([this] { return ::io_uring_submit_and_wait(&ring_, 1); });
        } else {
            taken = ::io_uring_submit_and_wait(&ring_, 1);
        }
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

    bench::pass& pass_;
    io_uring ring_{};
};
#endif

template <bool Tuned> bench::engine make(bench::engine facts) {
    facts.deepest = 16384; // the most entries of a ring, and at least that many registered buffers
#ifdef BENCH_LIBURING
    return bench::batch_engine<calls<Tuned>>(facts);
#else
    facts.missing = "not installed when this was built (liburing-dev)";
    return facts;
#endif
}

} // namespace

bench::engine bench::io_uring_normal() {
    return make<false>(
        {.name = "io_uring", .what = "liburing's idiom: io_uring_submit_and_wait(1), then all that is finished"});
}
bench::engine bench::io_uring_tuned() {
    return make<true>(
        {.name = "io_uring-tuned", .what = "the same, single issuer, deferred task work, registered file and buffers"});
}
