// basic_context: owns one kernel context (io_setup to io_destroy); submit, reap, wait, cancel. This is the raw layer.
// One thread may submit while another reaps and waits; beyond that, one call at a time. A context is not inherited by
// fork: in the child every call gives EINVAL and destroying it does nothing. Making and destroying one is slow (about
// 0.1 and 30 ms): make it once.
#pragma once

#include <cstdint>

#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/setup_error.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/ring.hpp>
#include <kaio/sys/sanitizers.hpp>

namespace kaio::inline KAIO_BUILD {

// How finished events are taken.
enum class reaping {
    automatic, // from the mapped ring if it can be trusted and no Valgrind is watching, else by io_getevents
    ring,      // from the mapped ring if it can be trusted, else by io_getevents
    syscall,   // by io_getevents
};

struct context_options {
    // If there is no room for the capacity asked for (fs.aio-max-nr), half of it is tried, and half of that, but not
    // less than this. 0: all or nothing. capacity() says what it became.
    unsigned at_least = 0;
    reaping events = reaping::automatic;
};

// What became of a batch: the kernel took the first accepted() requests, and they will complete. If that is not all,
// request number failed() was refused for error(), and it and those after it are the caller's again.
class [[nodiscard]] submission {
public:
    constexpr submission(unsigned accepted, int error) noexcept : accepted_(accepted), error_(error) {}

    // True if all were accepted.
    constexpr explicit operator bool() const noexcept { return error_ == 0; }
    constexpr unsigned accepted() const noexcept { return accepted_; }
    constexpr unsigned failed() const noexcept { return accepted_; }
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }
    constexpr int error_number() const noexcept { return error_; } // an errno, 0 for none

    // EAGAIN at submission: the kernel has no room. Take events (reap or wait), then submit the rest again; who only
    // submits again may do so for ever.
    constexpr bool ring_full() const noexcept { return error_ == EAGAIN; }

private:
    unsigned accepted_;
    int error_;
};

template <kernel Kernel = linux_kernel> class basic_context {
public:
    // Room for `capacity` requests in flight, 1 or more; they count against fs.aio-max-nr. Throws std::system_error
    // with a text that names the call, the cause and the remedy. System calls: io_setup, mmap (of a page), madvise; no
    // allocation.
    explicit basic_context(unsigned capacity, context_options options = {}, Kernel kernel = {})
        : basic_context(unwrap(try_make(capacity, options, std::move(kernel)), capacity)) {}

    // The same without exceptions: EINVAL (a capacity of 0, or more than about 4 million), EAGAIN (fs.aio-max-nr),
    // ENOMEM, ENOSYS or EPERM (no native AIO here). The message() of error() names cause and remedy, as the throwing
    // form does; setup_error_text(errno, capacity) is all of that form's text.
    static result<basic_context> try_make(unsigned capacity, context_options options = {},
                                          Kernel kernel = {}) noexcept {
        basic_context made(std::move(kernel));
        if (capacity == 0) return failure(EINVAL);
        const unsigned* const process = made.kernel_.mark_process();
        if (!process) return failure(ENOMEM);
        int error = made.kernel_.io_setup(capacity, &made.id_);
        while (error == -EAGAIN && options.at_least != 0 && capacity > options.at_least) {
            capacity = capacity / 2 > options.at_least ? capacity / 2 : options.at_least;
            error = made.kernel_.io_setup(capacity, &made.id_);
        }
        if (error < 0) {
            made.kernel_.unmark_process(process);
            return failure(-error);
        }
        made.capacity_ = capacity;
        made.process_ = process;
        completion_ring ring(made.id_);
        if (ring.trusted()) made.kernel_.keep_from_children(reinterpret_cast<void*>(made.id_), ring.mapped_size());
        if (options.events == reaping::ring || (options.events == reaping::automatic && !sanitizers::under_valgrind()))
            made.ring_ = std::move(ring);
        return made;
    }

    // Moving takes the requests in flight along. A moved-from context gives EINVAL for everything.
    basic_context(basic_context&& other) noexcept
        : kernel_(other.kernel_), id_(other.id_), process_(other.process_), capacity_(other.capacity_),
          announced_(other.announced_), accepted_(other.accepted_), reaped_(other.reaped_), ring_(std::move(other.ring_)) {
        other.process_ = &mark_of_nobody;
        other.capacity_ = other.announced_ = other.accepted_ = other.reaped_ = 0;
    }
    basic_context(const basic_context&) = delete;
    basic_context& operator=(const basic_context&) = delete;
    basic_context& operator=(basic_context&& other) noexcept {
        if (this != &other) {
            this->~basic_context();
            ::new (this) basic_context(std::move(other));
        }
        return *this;
    }

    // io_destroy: cancels polls and waits until no disk request is in flight, so that no buffer is written to after
    // it. The events that were not taken are lost: reap first what matters. In a forked child it does nothing, and the
    // mark stays: what the child inherited may still have to know whose it is.
    ~basic_context() {
        if (!usable()) return;
        kernel_.io_destroy(id_);
        kernel_.unmark_process(process_);
    }

    // Hands the batch to the kernel: one io_submit, and one more for each time the kernel took only a part. The iocbs
    // are copied by the kernel (their addresses come back in io_event::obj); the memory they name must stay until they
    // complete. May block in the kernel where a file system or a full device queue does. A request may complete before
    // this returns. Errors, each for one request: EAGAIN (no room, see submission::ring_full), EBADF, EINVAL,
    // EOPNOTSUPP (a flag), EFAULT; EINVAL for any batch, an empty one too, in a forked child or of a moved-from context.
    submission submit(view<iocb* const> batch) noexcept {
        if (!usable()) [[unlikely]]
            return {0, EINVAL};
        auto const count = detail::narrow<unsigned>(batch.size());
        for (iocb* block : batch) sanitizers::submitting(block);
        // Announced first: a thread that reaps must never see more events than there can be. Counted as accepted
        // afterwards: a thread that waits must never wait for a request that is refused.
        count_in(announced_, count);
        long const taken =
            count != 0 ? kernel_.io_submit(id_, static_cast<long>(count), const_cast<iocb**>(batch.data())) : 0;
        if (taken == static_cast<long>(count)) [[likely]] {
            count_in(accepted_, count);
            return {count, 0};
        }
        return submit_rest(batch, taken);
    }

    // Takes events that are there, at most as many as fit, and says how many; never waits. From the ring, with no
    // system call; without a trusted ring by one io_getevents, and then only if something is in flight. An error of
    // that call reads as 0 events here; wait() reports it.
    unsigned reap(view<io_event> events) noexcept {
        if (!usable()) [[unlikely]]
            return 0;
        kernel_.look();
        if (ring_.trusted()) [[likely]] {
            unsigned const count = take(events);
            if (ring_.trusted()) [[likely]]
                return count;
        }
        if (in_flight() == 0 || events.empty()) return 0;
        long const count = get_events(events, 0, duration::zero(), nullptr);
        return count < 0 ? 0 : static_cast<unsigned>(count);
    }

    // Waits until `min` events have been taken, or `limit` has passed, or a signal arrives, and says how many were
    // taken: fewer than `min` after the limit or a signal, or when no more than that are in flight (it never waits for
    // nothing). Events that are in the ring are taken first; if they are enough there is no system call, else one
    // io_getevents (io_pgetevents with `mask`, 4.18: the signal mask during the wait). Errors: EINTR, with no event
    // taken; EINVAL, if `min` events do not fit or the context is not usable; ENOSYS, if there is a mask and the kernel
    // or a seccomp filter has no io_pgetevents (let the signal's handler write to an eventfd then, and poll that).
    // A limit ends the wait and no request: what is in flight stays so, and keeps its buffer.
    result<unsigned> wait(view<io_event> events, unsigned min = 1, duration limit = {},
                          const sigset_t* mask = nullptr) noexcept {
        if (!usable() || min > events.size()) return failure(EINVAL);
        kernel_.look();
        if (unsigned const due = in_flight(); min > due) min = due;
        unsigned taken = ring_.trusted() ? take(events) : 0;
        if (ring_.trusted() ? taken >= min : in_flight() == 0) return taken;
        long const more = get_events({events.data() + taken, events.size() - taken}, min - taken, limit, mask);
        if (more < 0 && taken == 0) return failure(static_cast<int>(-more));
        return taken + (more < 0 ? 0 : static_cast<unsigned>(more));
    }

    // io_cancel. Success means that the request will complete soon, through the ring. Only polls can be cancelled:
    // EINVAL for a disk request, for one that has completed, and for one that was never submitted.
    result<void> cancel(iocb& block) noexcept {
        if (!usable()) return failure(EINVAL);
        io_event ignored{};
        int const answer = kernel_.io_cancel(id_, &block, &ignored);
        if (answer == 0 || answer == -EINPROGRESS) return {};
        return failure(-answer);
    }

    // For a wait that another thread may have to end. expect(): one more event may come than was submitted here, so
    // that wait() waits for it too. submit_expected(): any thread, after the one that waits has called expect(); hands
    // over that one request, and says whether the kernel took it. unexpect(): it will not come after all.
    void expect() noexcept {
        count_in(announced_, 1);
        count_in(accepted_, 1);
    }
    void unexpect() noexcept {
        count_in(accepted_, ~0u);
        count_in(announced_, ~0u);
    }
    result<void> submit_expected(iocb& block) noexcept {
        sanitizers::submitting(&block);
        iocb* batch[] = {&block};
        long const taken = kernel_.io_submit(id_, 1, batch);
        if (taken == 1) return {};
        return failure(taken == 0 ? EAGAIN : static_cast<int>(-taken));
    }

    // Looks at the ring: true if reap() would give something. About a nanosecond, no system call. Without a trusted
    // ring: true if something is in flight, because only a system call can tell.
    bool has_completions() const noexcept {
        kernel_.look();
        return usable() && (ring_.trusted() ? ring_.has_events() : in_flight() != 0);
    }

    // Events in the ring: what reap() would give, if it fits. 0 without a trusted ring. No system call.
    unsigned completions() const noexcept {
        kernel_.look();
        unsigned const there = usable() && ring_.trusted() ? ring_.available() : 0;
        return there <= announced() ? there : 0;
    }

    // Requests that the context was made for. The kernel may take more; that is not to be relied on.
    unsigned capacity() const noexcept { return capacity_; }

    // Requests that the kernel accepted and whose events were not taken yet. While another thread is inside submit,
    // those that it is submitting may not be counted.
    unsigned in_flight() const noexcept {
        unsigned const count = __atomic_load_n(&accepted_, __ATOMIC_RELAXED) - reaped();
        return static_cast<int>(count) < 0 ? 0 : count; // an event may be taken before its request is counted
    }

    // Events taken, ever; it wraps.
    unsigned reaped() const noexcept { return __atomic_load_n(&reaped_, __ATOMIC_RELAXED); }

    // False: events are taken by io_getevents, by choice or because the ring can't be trusted.
    bool uses_ring() const noexcept { return ring_.trusted(); }

    // False in a forked child and of a moved-from context.
    bool usable() const noexcept { return __atomic_load_n(process_, __ATOMIC_RELAXED) == mark_of_process; }

    // The mark of the process whose context this is; see sys/process.hpp. It stays readable in children.
    const unsigned* process_mark() const noexcept { return process_; }

    const Kernel& get_kernel() const noexcept { return kernel_; }

    // What puts the errors of try_make into words.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::setup_words>(); }

private:
    explicit basic_context(Kernel kernel) noexcept : kernel_(std::move(kernel)) {}

    static basic_context unwrap(result<basic_context> made, unsigned asked) {
        if (!made) detail::throw_error(made.error().value(), setup_error_text(made.error().value(), asked));
        return std::move(*made);
    }

    // Each counter has one writer, so a plain sum will do; the other thread only has to see whole numbers.
    static void count_in(unsigned& counter, unsigned more) noexcept {
        __atomic_store_n(&counter, counter + more, __ATOMIC_RELAXED);
    }

    // The first io_submit took only a part of the batch, or gave an error: goes on until the rest has its error too.
    [[gnu::__cold__, gnu::__noinline__]] submission submit_rest(view<iocb* const> batch, long taken) noexcept {
        auto const count = detail::narrow<unsigned>(batch.size());
        unsigned accepted = 0;
        while (taken > 0) {
            accepted += static_cast<unsigned>(taken);
            count_in(accepted_, static_cast<unsigned>(taken));
            if (accepted == count) return {count, 0};
            taken = kernel_.io_submit(id_, static_cast<long>(count - accepted),
                                      const_cast<iocb**>(batch.data()) + accepted);
        }
        count_in(announced_, accepted - count);
        return {accepted, taken == 0 ? EAGAIN : static_cast<int>(-taken)};
    }

    // The most events that can be in the ring.
    unsigned announced() const noexcept { return __atomic_load_n(&announced_, __ATOMIC_RELAXED) - reaped(); }

    // REQUIRES: ring_.trusted()
    unsigned take(view<io_event> events) noexcept {
        auto const most = [this] { return announced(); };
        return taken(events.data(), ring_.take(events.data(), detail::narrow<unsigned>(events.size()), most));
    }

    long get_events(view<io_event> events, unsigned min, duration limit, const sigset_t* mask) noexcept {
        kernel_timespec const time{limit.ns() / 1'000'000'000, limit.ns() % 1'000'000'000};
        const kernel_timespec* const until = limit.is_unlimited() ? nullptr : &time;
        auto const max = static_cast<long>(events.size());
        long const count = mask ? kernel_.io_pgetevents(id_, static_cast<long>(min), max, events.data(), until, mask)
                                : kernel_.io_getevents(id_, static_cast<long>(min), max, events.data(), until);
        if (count > 0) taken(events.data(), static_cast<unsigned>(count));
        return count;
    }

    unsigned taken(io_event* events, unsigned count) noexcept {
        for (unsigned i = 0; i < count; ++i) sanitizers::completed(events + i);
        count_in(reaped_, count);
        return count;
    }

    [[no_unique_address]] Kernel kernel_;
    aio_context_id id_ = 0;
    const unsigned* process_ = &mark_of_nobody;
    unsigned capacity_ = 0;
    // How many, ever; they wrap. accepted_ follows announced_, which is ahead while io_submit decides.
    unsigned announced_ = 0; // requests that the kernel was offered and has not refused; the submitting thread's
    unsigned accepted_ = 0;  // requests that the kernel has taken; the submitting thread's
    unsigned reaped_ = 0;    // events taken; the reaping thread's
    completion_ring ring_{};
};

using context = basic_context<>;

} // namespace kaio
