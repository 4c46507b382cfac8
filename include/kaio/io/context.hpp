// basic_context: one context of the kernel, from io_setup to io_destroy. This is the raw layer.
//     kaio::context context(32);
//     kaio::iocb block = kaio::read(file, buffer, 0);
//     kaio::iocb* batch[] = {&block};
//     if (kaio::submission const answer = context.submit(batch); !answer) return answer.error();
//     unsigned const count = context.wait(events).value("wait"); // events[0].result() is the read's
// One thread may submit while another reaps and waits. Beyond that, calls come one at a time. No call allocates. Making
// and destroying a context is slow (about 0.1 and 30 ms), so make it once.
#pragma once

#include <cerrno>
#include <cstdint>
#include <utility>

#include <kaio/io/detail/error_words.hpp>
#include <kaio/io/detail/setup_cause.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/setup_error.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/process.hpp>
#include <kaio/sys/reset_on_move.hpp>
#include <kaio/sys/ring.hpp>
#include <kaio/sys/sanitizers.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// How events are taken.
enum class reaping {
    automatic, // from the mapped ring if it can be trusted and Valgrind does not run the program, else by io_getevents
    ring,      // from the mapped ring if it can be trusted, else by io_getevents
    syscall,   // by io_getevents
};

// How a context is made and takes its events.
struct context_options {
    // If fs.aio-max-nr leaves no room for the capacity, half of it is tried, then half of that, but no less than this.
    // capacity() returns what it became. 0: all or nothing.
    unsigned at_least = 0;
    reaping events = reaping::automatic; // how events are taken
};

// What became of a batch. The kernel took the first accepted() requests, and they will complete. If there is an
// error(), the kernel refused request number failed() for it. That one and those behind it are the caller's again.
class [[nodiscard]] submission {
public:
    // `error` is an errno, or 0 for none.
    constexpr submission(unsigned accepted, int error) noexcept : accepted_(accepted), error_(error) {}

    // True if no request was refused.
    constexpr explicit operator bool() const noexcept { return error_ == 0; }

    // How many were accepted, which is also the number of the one that was refused.
    constexpr unsigned accepted() const noexcept { return accepted_; }
    constexpr unsigned failed() const noexcept { return accepted_; }

    // Why it was refused. No error, or 0, if none was.
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }
    constexpr int error_number() const noexcept { return error_; }

    // True for EAGAIN: the kernel has no room. Take events (reap or wait), then submit the rest. A caller that only
    // submits again may do so forever.
    constexpr bool ring_full() const noexcept { return error_ == EAGAIN; }

private:
    unsigned accepted_;
    int error_;
};

// It can be moved, with the requests that are in flight. Every call on a context that was moved from returns EINVAL, as
// does every call in a child made by fork, which does not inherit contexts.
//
// The destructor calls io_destroy, which cancels polls and waits for disk requests, so that no buffer is written to
// afterwards. Events that were not taken are lost: reap first what matters. In a forked child it does nothing.
template <class Kernel = linux_kernel> class basic_context {
    static_assert(kernel<Kernel>, "kaio: a kernel has the functions that the concept kaio::kernel names");

public:
    // Room for `capacity` requests in flight, 1 or more. They count against fs.aio-max-nr.
    // Errors: throws std::system_error, whose text names the call, the cause and the remedy. System calls: io_setup,
    // mmap (of a page), madvise.
    explicit basic_context(unsigned capacity, context_options options = {}, Kernel kernel = {})
        : basic_context(unwrap(try_make(capacity, options, std::move(kernel)), capacity)) {}

    // The same without exceptions. The message() of error() names cause and remedy, and setup_error_text(errno,
    // capacity) is the text that the constructor throws. Errors: EINVAL (a capacity of 0, or more than about 4
    // million), EAGAIN (fs.aio-max-nr), ENOMEM, ENOSYS or EPERM (no native AIO here).
    static result<basic_context> try_make(unsigned capacity, context_options options = {},
                                          Kernel kernel = {}) noexcept {
        basic_context made(std::move(kernel));
        handle& owned = made.owned_;
        if (capacity == 0) return failure(EINVAL);
        const unsigned* const process = owned.policy.mark_process();
        if (!process) return failure(ENOMEM);
        int error = owned.policy.io_setup(capacity, &owned.id.get());
        while (error == -EAGAIN && options.at_least != 0 && capacity > options.at_least) {
            capacity = capacity / 2 > options.at_least ? capacity / 2 : options.at_least;
            error = owned.policy.io_setup(capacity, &owned.id.get());
        }
        if (error < 0) {
            owned.policy.unmark_process(process);
            return failure(-error);
        }
        owned.process = process;
        made.capacity_ = capacity;
        completion_ring ring(owned.id);
        if (ring.trusted())
            owned.policy.keep_from_children(reinterpret_cast<void*>(owned.id.get()), ring.mapped_size());
        if (options.events == reaping::ring || (options.events == reaping::automatic && !sanitizers::under_valgrind()))
            made.ring_ = std::move(ring);
        return made;
    }

    // Hands the batch to the kernel: by one io_submit, and one more each time that the kernel takes only a part. The
    // kernel copies the iocbs, whose addresses come back in the events. The memory that they name must stay until they
    // complete. A request may complete before this returns. It blocks where a file system or a full device queue does.
    // Errors, each for one request: EAGAIN (no room, see submission::ring_full), EBADF, EINVAL, EOPNOTSUPP (a flag),
    // EFAULT. EINVAL for any batch, an empty one too, in a forked child or for a context that was moved from.
    submission submit(view<iocb* const> batch) noexcept {
        submission const answer = submit_prefix(batch);
        if (__builtin_expect(!answer || answer.accepted() == batch.size(), true)) return answer;
        return submit_rest(batch, answer.accepted());
    }

    // The same by exactly one io_submit (none for an empty batch): the kernel may take only the beginning of the batch,
    // without an error. There is an error only if it takes no request, and then it is the first request's.
    submission submit_prefix(view<iocb* const> batch) noexcept {
        if (__builtin_expect(!usable(), false)) return {0, EINVAL};
        auto const count = detail::narrow<unsigned>(batch.size());
        long const taken = offer(batch, count);
        if (__builtin_expect(taken == static_cast<long>(count), true)) return all(count);
        return part(count, taken);
    }

    // Takes the events that are there, at most as many as fit, and returns their number. It never waits. System calls:
    // none with a trusted ring. Without one, an io_getevents if something is in flight, whose error reads as 0 events
    // here: wait() reports it.
    unsigned reap(view<io_event> events) noexcept {
        if (__builtin_expect(!usable(), false)) return 0;
        owned_.policy.look();
        if (__builtin_expect(ring_.trusted(), true)) {
            unsigned const count = take(events);
            if (__builtin_expect(ring_.trusted(), true)) return count;
        }
        if (in_flight() == 0 || events.empty()) return 0;
        long const count = get_events(events, 0, duration::zero(), nullptr);
        return count < 0 ? 0 : static_cast<unsigned>(count);
    }

    // Waits until `min` events are taken, `limit` has passed, or a signal arrives, and returns the number of events
    // taken. Those are fewer than `min` after the limit or a signal, or when fewer are in flight: it never waits for
    // nothing. The limit ends the wait and no request: what is in flight stays so, and keeps its buffer. `mask` is the
    // signal mask during the wait (4.18).
    // Errors: EINTR, if no event was taken. EINVAL, if `min` events do not fit or the context is not usable. ENOSYS,
    // for a mask where the kernel or a seccomp filter has no io_pgetevents: there let the signal's handler write to an
    // eventfd, and poll that. System calls: none if the ring has enough events, else one io_getevents or io_pgetevents.
    result<unsigned> wait(view<io_event> events, unsigned min = 1, duration limit = {},
                          const sigset_t* mask = nullptr) noexcept {
        if (!usable() || min > events.size()) return failure(EINVAL);
        owned_.policy.look();
        if (unsigned const due = in_flight(); min > due) min = due;
        unsigned taken = ring_.trusted() ? take(events) : 0;
        if (ring_.trusted() ? taken >= min : in_flight() == 0) return taken;
        long const more = get_events(events.subspan(taken), min - taken, limit, mask);
        if (more < 0 && taken == 0) return failure(static_cast<int>(-more));
        return taken + (more < 0 ? 0 : static_cast<unsigned>(more));
    }

    // io_cancel. After success the request completes soon, through the ring. Only polls can be cancelled.
    // Errors: EINVAL for a disk request, for one that has completed, and for one that was never submitted.
    result<void> cancel(iocb& block) noexcept {
        if (!usable()) return failure(EINVAL);
        io_event ignored{};
        int const answer = owned_.policy.io_cancel(owned_.id, &block, &ignored);
        if (answer == 0 || answer == -EINPROGRESS) return {};
        return failure(-answer);
    }

    // For requests that another thread submits. After expect(), so many more events may come than were submitted here,
    // and wait() waits for them too; unexpect() takes that back. submit_expected() hands the requests over, from any
    // thread, after the thread that waits has called expect(). Otherwise it is submit_prefix().
    void expect(unsigned count = 1) noexcept {
        add(announced_, count);
        add(accepted_, count);
    }
    void unexpect(unsigned count = 1) noexcept {
        add(accepted_, 0 - count);
        add(announced_, 0 - count);
    }
    submission submit_expected(view<iocb* const> batch) noexcept {
        aio_context_id const id = owned_.id; // read first: when the events have come, the context may be destroyed
        for (iocb* block : batch) sanitizers::submitting(block);
        long const taken = io_submit(id, batch);
        if (taken > 0) return {static_cast<unsigned>(taken), 0};
        return {0, taken == 0 ? EAGAIN : static_cast<int>(-taken)};
    }

    // True if reap() would return something. About a nanosecond, no system call. Without a trusted ring it is true if
    // something is in flight, because only a system call can tell.
    bool has_completions() const noexcept {
        owned_.policy.look();
        return usable() && (ring_.trusted() ? ring_.has_events() : in_flight() != 0);
    }

    // The number of events in the ring, which reap() takes if they fit. 0 without a trusted ring. No system call.
    unsigned completions() const noexcept {
        owned_.policy.look();
        unsigned const there = usable() && ring_.trusted() ? ring_.available() : 0;
        return there <= announced() ? there : 0;
    }

    // The number of requests that the context was made for. The kernel may take more, which is not to be relied on.
    unsigned capacity() const noexcept { return capacity_; }

    // The number of requests that the kernel has accepted and whose events are not taken. While another thread is
    // inside submit, its requests may not be counted.
    unsigned in_flight() const noexcept {
        unsigned const count = load(accepted_) - reaped();
        return static_cast<int>(count) < 0 ? 0 : count; // an event may be taken before its request is counted
    }

    // The number of events taken, ever. It wraps around.
    unsigned reaped() const noexcept { return load(reaped_); }

    // False if events are taken by io_getevents, by choice or because the ring can't be trusted.
    bool uses_ring() const noexcept { return ring_.trusted(); }

    // False in a forked child, and for a context that was moved from.
    bool usable() const noexcept { return owned_.usable(); }

    // The mark of the process whose context this is, see sys/process.hpp. It stays readable in children.
    const unsigned* process_mark() const noexcept { return owned_.process; }

    // The policy that makes its system calls.
    const Kernel& get_kernel() const noexcept { return owned_.policy; }

    // The category of try_make's errors.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::setup_words>(); }

private:
    template <class> friend class basic_shared_context; // which counts for itself

    // What io_setup made. Only the process that made it may destroy it. In a child the mark stays, too: what the child
    // inherited may still have to know whose it is.
    struct handle {
        [[no_unique_address]] Kernel policy;
        detail::reset_on_move<aio_context_id> id{};
        detail::reset_on_move<const unsigned*, &mark_of_nobody> process{};

        explicit handle(Kernel kernel) noexcept : policy(std::move(kernel)) {}
        handle(handle&&) noexcept = default;
        handle& operator=(handle&& other) noexcept {
            if (this == &other) return *this;
            give_back();
            policy = std::move(other.policy);
            id = std::move(other.id);
            process = std::move(other.process);
            return *this;
        }
        handle(const handle&) = delete;
        handle& operator=(const handle&) = delete;
        ~handle() { give_back(); }

        bool usable() const noexcept { return __atomic_load_n(process.get(), __ATOMIC_RELAXED) == mark_of_process; }
        void give_back() noexcept {
            if (!usable()) return;
            policy.io_destroy(id);
            forget();
        }
        // The context is gone already.
        void forget() noexcept {
            policy.unmark_process(process);
            process = &mark_of_nobody;
        }
    };
    using counter = detail::reset_on_move<unsigned>;

    explicit basic_context(Kernel kernel) noexcept : owned_(std::move(kernel)) {}

    static basic_context unwrap(result<basic_context> made, unsigned capacity) {
        if (!made) detail::throw_error(made.error().value(), setup_error_text(made.error().value(), capacity));
        return std::move(*made);
    }

    // Each counter has one writer, so it needs no atomic sum. The other thread only has to see whole numbers.
    static void add(counter& sum, unsigned more) noexcept {
        __atomic_store_n(&sum.get(), sum + more, __ATOMIC_RELAXED);
    }
    static unsigned load(const counter& sum) noexcept { return __atomic_load_n(&sum.get(), __ATOMIC_RELAXED); }

    // Makes one io_submit for the batch of `count` requests (none for an empty one), and returns what it returns. all()
    // or part() then counts what was accepted.
    long offer(view<iocb* const> batch, unsigned count) noexcept {
        for (iocb* block : batch) sanitizers::submitting(block);
        // Announced first: a thread that reaps must never see more events than there can be. Counted as accepted
        // afterwards: a thread that waits must never wait for a request that is refused.
        add(announced_, count);
        if (count == 0) return 0;
        return io_submit(owned_.id, batch);
    }
    long io_submit(aio_context_id id, view<iocb* const> batch) noexcept {
        return owned_.policy.io_submit(id, static_cast<long>(batch.size()), const_cast<iocb**>(batch.data()));
    }

    // What became of a batch of `count` requests which the kernel took.
    submission all(unsigned count) noexcept {
        add(accepted_, count);
        return {count, 0};
    }

    // What became of a batch of `count` requests for which io_submit returned `taken`, which is less.
    [[gnu::__cold__, gnu::__noinline__]] submission part(unsigned count, long taken) noexcept {
        unsigned const accepted = taken > 0 ? static_cast<unsigned>(taken) : 0;
        add(announced_, accepted - count);
        add(accepted_, accepted);
        if (taken > 0) return {accepted, 0};
        return {0, taken == 0 ? EAGAIN : static_cast<int>(-taken)};
    }

    // Submits what is behind the first `accepted`, until all is accepted or one request is refused.
    [[gnu::__cold__, gnu::__noinline__]] submission submit_rest(view<iocb* const> batch, unsigned accepted) noexcept {
        for (;;) {
            submission const answer = submit_prefix(batch.subspan(accepted));
            accepted += answer.accepted();
            if (!answer || accepted == batch.size()) return {accepted, answer.error_number()};
        }
    }

    // The most events that can be in the ring.
    unsigned announced() const noexcept { return load(announced_) - reaped(); }

    // REQUIRES: ring_.trusted()
    unsigned take(view<io_event> events) noexcept {
        auto const most = [this] { return announced(); };
        auto const room = detail::narrow<unsigned>(events.size());
        return count_taken(events.data(), ring_.take(events.data(), room, most));
    }

    long get_events(view<io_event> events, unsigned min, duration limit, const sigset_t* mask) noexcept {
        long const count = io_getevents(events, min, limit, mask);
        if (count > 0) count_taken(events.data(), static_cast<unsigned>(count));
        return count;
    }
    long io_getevents(view<io_event> events, unsigned min, duration limit, const sigset_t* mask) noexcept {
        kernel_timespec const time{limit.ns() / 1'000'000'000, limit.ns() % 1'000'000'000};
        const kernel_timespec* const timeout = limit.is_unlimited() ? nullptr : &time;
        auto const least = static_cast<long>(min), most = static_cast<long>(events.size());
        Kernel& policy = owned_.policy;
        return mask ? policy.io_pgetevents(owned_.id, least, most, events.data(), timeout, mask)
                    : policy.io_getevents(owned_.id, least, most, events.data(), timeout);
    }

    unsigned count_taken(io_event* events, unsigned count) noexcept {
        for (unsigned i = 0; i < count; ++i) sanitizers::completed(events + i);
        add(reaped_, count);
        return count;
    }

    handle owned_;
    counter capacity_{};
    // These count from the beginning, and wrap around. accepted_ follows announced_, which is ahead while io_submit
    // decides.
    counter announced_{}; // requests that were offered to the kernel and not refused: the submitting thread's
    counter accepted_{};  // requests that the kernel has taken: the submitting thread's
    counter reaped_{};    // events taken: the reaping thread's
    completion_ring ring_{};
};

using context = basic_context<>; // on Linux

} // namespace KAIO_BUILD
} // namespace kaio
