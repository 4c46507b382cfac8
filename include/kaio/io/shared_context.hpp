// shared_context: one context for many threads. All may submit, and all may take events. A thread may sleep in wait()
// while nothing is in flight, until something comes or stop() is called.
//     kaio::shared_context context(128);
//     // any thread
//     kaio::iocb* batch[] = {&block};
//     if (kaio::submission const answer = context.submit(batch); !answer) return answer.error();
//     // as many threads as you like
//     while (!context.stopped()) {
//         unsigned const count = context.wait(events).value("wait"); // each event comes to one thread
//         for (kaio::io_event const& event : kaio::view<kaio::io_event>(events).first(count)) handle(event);
//     }
// Any thread may call any member at any time, but for moving and destroying it; end() is for a context that is in use.
// No call allocates.
//
// What it costs: submit() has no lock, and counts with an atomic addition. wait() and reap() lock one mutex, which no
// thread holds while it sleeps or makes a system call. A thread that sleeps takes its events in the kernel, and another
// that took some from the ring meanwhile would get the same ones. So while a thread sleeps, the others take events by
// io_getevents, too. One thread that submits and another that waits need none of this: they can share a kaio::context.
// docs/decisions/sharing-a-context.md says why.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <pthread.h>
#include <signal.h>

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/setup_error.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/reset_on_move.hpp>
#include <kaio/sys/sanitizers.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// It can be moved, with the requests that are in flight, while no thread uses it and before the first stop() or end().
// In a child made by fork, and after moving from it, every call returns EINVAL.
//
// The destructor waits for the requests in flight, as that of a context does. REQUIRES: no thread uses it
template <class Kernel = linux_kernel> class basic_shared_context {
public:
    // As basic_context's. System calls: those, and two that make a descriptor to wake threads with.
    explicit basic_shared_context(unsigned capacity, context_options options = {}, Kernel kernel = {})
        : basic_shared_context(unwrap(try_make(capacity, options, std::move(kernel)), capacity)) {}

    // The same without exceptions. Errors: those of basic_context::try_make, EMFILE, ENFILE.
    static result<basic_shared_context> try_make(unsigned capacity, context_options options = {},
                                                 Kernel kernel = {}) noexcept {
        result<basic_context<Kernel>> made = basic_context<Kernel>::try_make(capacity, options, std::move(kernel));
        if (!made) return failure(made.error_number());
        int const waker = made->get_kernel().open_waker();
        if (waker < 0) return failure(-waker);
        return basic_shared_context(std::move(*made), waker);
    }

    // For passing a new context on. REQUIRES: no thread is in it.
    basic_shared_context(basic_shared_context&& other) noexcept = default;
    basic_shared_context& operator=(basic_shared_context&&) = delete;
    ~basic_shared_context() {
        if (waker_ != no_waker) context_.get_kernel().close_waker(waker_);
        if (ended_) context_.owned_.forget();
    }

    // As basic_context::submit. A request may complete, and another thread take its event, before this returns.
    submission submit(view<iocb* const> batch) noexcept {
        if (!usable()) return {0, EINVAL};
        unsigned accepted = 0;
        while (accepted != batch.size()) {
            submission const answer = submit_counted(batch.subspan(accepted));
            accepted += answer.accepted();
            if (!answer) return {accepted, answer.error_number()};
        }
        return {accepted, 0};
    }

    // As basic_context::submit_prefix.
    submission submit_prefix(view<iocb* const> batch) noexcept {
        if (!usable()) return {0, EINVAL};
        return batch.empty() ? submission(0, 0) : submit_counted(batch);
    }

    // Takes the events that are there, at most as many as fit, and returns their number. It never waits. System calls:
    // none, but an io_getevents if there are events while another thread sleeps, or without a trusted ring.
    unsigned reap(view<io_event> events) noexcept {
        result<unsigned> const taken = wait(events, 0);
        return taken ? *taken : 0;
    }

    // Waits until `min` events are taken, `limit` has passed, a signal arrives or stop() is called, and returns the
    // number of events taken. Those are fewer than `min` after all but the first. Also while nothing is in flight. Of
    // several threads that wait, each gets what comes while it looks. The limit ends the wait and no request. `mask` is
    // the signal mask during the wait (4.18).
    // Errors: EINTR, if no event was taken. EINVAL, if `min` events do not fit or the context is not usable. ENOSYS for
    // a mask, as for basic_context::wait. System calls: none if the ring has enough events and no other thread sleeps,
    // else an io_getevents or io_pgetevents, and if `min` is more than 1 another after each sleep.
    result<unsigned> wait(view<io_event> events, unsigned min = 1, duration limit = {},
                          const sigset_t* mask = nullptr) noexcept {
        return wait_in_sleeps(1, events, min, limit, mask); // so the event of stop() ends each
    }

    // The same with one sleep at most, from which the kernel wakes the thread when there is enough (6.8). stop() may not
    // end it.
    result<unsigned> wait_once(view<io_event> events, unsigned min = 1, duration limit = {},
                               const sigset_t* mask = nullptr) noexcept {
        return wait_in_sleeps(min, events, min, limit, mask);
    }

    // Ends every wait, now and until restart(): they return the events that are there and do not sleep. The requests in
    // flight stay so. May be called again. System calls: one if a thread sleeps; each thread that wakes then wakes the
    // next.
    // Errors: EAGAIN, if the kernel has no room for what wakes. Then the next event does that. EINVAL if it is not
    // usable.
    result<void> stop() noexcept {
        if (!usable()) return failure(EINVAL);
        __atomic_store_n(&stopping_, true, __ATOMIC_SEQ_CST);
        return __atomic_load_n(&in_kernel_, __ATOMIC_SEQ_CST) == 0 ? result<void>() : wake();
    }
    // Lets waits sleep again. One of them may still be ended by the stop that was.
    void restart() noexcept { __atomic_store_n(&stopping_, false, __ATOMIC_SEQ_CST); }
    bool stopped() const noexcept { return __atomic_load_n(&stopping_, __ATOMIC_SEQ_CST); }

    // Ends the context, which other threads may be using: those that sleep return EINVAL, and so does every later call.
    // It waits for requests as the destructor does. The object stays until it is destroyed.
    // Errors: EINVAL if it is not usable, or another thread was first; then it does not wait. System calls: io_destroy.
    result<void> end() noexcept {
        {
            lock const held(mutex_);
            if (!usable()) return failure(EINVAL);
            __atomic_store_n(&ended_, true, __ATOMIC_RELAXED);
            context_.ring_ = completion_ring(); // the kernel takes its memory away
        }
        context_.owned_.policy.io_destroy(context_.owned_.id);
        return {};
    }

    // As basic_context::cancel.
    result<void> cancel(iocb& block) noexcept {
        return usable() ? context_.cancel(block) : result<void>(failure(EINVAL));
    }

    // The number of requests that the context was made for. The kernel may take more, which is not to be relied on.
    unsigned capacity() const noexcept { return context_.capacity(); }

    // The number of requests that were submitted and whose events are not taken. While a thread is inside a call, its
    // requests and events may be counted or not.
    unsigned in_flight() const noexcept {
        unsigned const count = load(announced_) - load(taken_) - load(wakes_);
        return static_cast<int>(count) < 0 ? 0 : count;
    }

    // False if events are taken by io_getevents only, by choice or because the ring can't be trusted.
    bool uses_ring() noexcept {
        lock const held(mutex_);
        return context_.uses_ring();
    }

    // False in a forked child, after end(), and for a context that was moved from.
    bool usable() const noexcept { return context_.usable() && !__atomic_load_n(&ended_, __ATOMIC_RELAXED); }

    // The policy that makes its system calls.
    const Kernel& get_kernel() const noexcept { return context_.get_kernel(); }

    // The category of try_make's errors.
    static const std::error_category& error_category() noexcept { return basic_context<Kernel>::error_category(); }

private:
    static constexpr int no_waker = -1;
    using counter = detail::reset_on_move<unsigned>;

    // A mutex that moves while nobody uses it, and then is another.
    struct mutex {
        pthread_mutex_t it{};
        mutex() noexcept { ::pthread_mutex_init(&it, nullptr); }
        mutex(mutex&&) noexcept : mutex() {}
        ~mutex() { ::pthread_mutex_destroy(&it); }
    };
    class lock {
    public:
        explicit lock(mutex& locked) noexcept : it_(locked.it) { ::pthread_mutex_lock(&it_); }
        lock(const lock&) = delete;
        lock& operator=(const lock&) = delete;
        ~lock() { ::pthread_mutex_unlock(&it_); }

    private:
        pthread_mutex_t& it_;
    };

    basic_shared_context(basic_context<Kernel>&& made, int waker) noexcept : context_(std::move(made)), waker_(waker) {
        wake_block_.aio_lio_opcode = static_cast<std::uint16_t>(opcode::pread);
        wake_block_.aio_fildes = static_cast<std::uint32_t>(waker);
    }

    static basic_shared_context unwrap(result<basic_shared_context> made, unsigned capacity) {
        if (!made) detail::throw_error(made.error().value(), setup_error_text(made.error().value(), capacity));
        return std::move(*made);
    }

    static unsigned load(const counter& sum) noexcept { return __atomic_load_n(&sum.get(), __ATOMIC_RELAXED); }
    static void add(counter& sum, unsigned more) noexcept { __atomic_add_fetch(&sum.get(), more, __ATOMIC_RELAXED); }

    submission submit_counted(view<iocb* const> batch) noexcept {
        // Counted first: the ring must never show more events than there can be.
        auto const count = detail::narrow<unsigned>(batch.size());
        add(announced_, count);
        submission const answer = context_.submit_expected(batch);
        if (answer.accepted() != count) add(announced_, answer.accepted() - count);
        return answer;
    }

    // Sleeps for `portion` events at once, or for what is missing to `min`.
    result<unsigned> wait_in_sleeps(unsigned portion, view<io_event> events, unsigned min, duration limit,
                                    const sigset_t* mask) noexcept {
        if (!usable() || min > events.size()) return failure(EINVAL);
        Kernel& policy = context_.owned_.policy;
        policy.look();
        bool const clocked = min > portion && !limit.is_unlimited();
        std::int64_t const began = clocked ? policy.now() : 0;
        for (unsigned taken = 0;;) {
            bool there = false;
            if (enter_kernel(events, taken, min, there)) return taken;
            bool const sleeps = taken < min && !stopped();
            unsigned const least = !sleeps ? 0 : portion < min - taken ? portion : min - taken;
            long more = 0;
            if (sleeps || there)
                more = context_.io_getevents(events.subspan(taken), least, sleeps ? limit : duration::zero(), mask);
            bool woken = false;
            if (more > 0) taken += keep(events.subspan(taken), static_cast<unsigned>(more), woken);
            leave_kernel(woken);
            if (more < 0 && taken == 0) return failure(static_cast<int>(-more));
            if (more <= 0 || woken || taken >= min || !sleeps || portion == min) return taken;
            if (clocked) {
                std::int64_t const left = limit.ns() - (policy.now() - began);
                limit = duration::from_ns(left > 0 ? left : 0);
            }
        }
    }

    // Takes events from the ring behind the first `taken`, if no thread takes any in the kernel. Returns true if those
    // are `min`. If not, the caller is counted as one that takes events in the kernel, where some may be `there`.
    bool enter_kernel(view<io_event> events, unsigned& taken, unsigned min, bool& there) noexcept {
        lock const held(mutex_);
        completion_ring& ring = context_.ring_;
        if (__atomic_load_n(&in_kernel_, __ATOMIC_ACQUIRE) == 0 && ring.trusted()) {
            auto const room = detail::narrow<unsigned>(events.size() - taken);
            auto const most = [this] { return load(announced_) - load(taken_); };
            bool woken = false; // no thread is asleep
            taken += keep(events.subspan(taken), ring.take(events.data() + taken, room, most), woken);
            if (taken >= min && ring.trusted()) return true;
        }
        there = !ring.trusted() || ring.has_events();
        // Before it looks whether it is to stop: either it sees that, or stop() sees it.
        __atomic_add_fetch(&in_kernel_, 1, __ATOMIC_SEQ_CST);
        return false;
    }

    void leave_kernel(bool woken) noexcept {
        bool const others = __atomic_sub_fetch(&in_kernel_, 1, __ATOMIC_SEQ_CST) != 0;
        if (!woken && !__atomic_load_n(&wake_failed_, __ATOMIC_RELAXED)) return;
        __atomic_store_n(&wake_failed_, false, __ATOMIC_RELAXED);
        if (others && stopped()) (void)wake();
    }

    // Counts events that were taken, and removes those that woke a thread. Returns how many are left.
    unsigned keep(view<io_event> events, unsigned count, bool& woken) noexcept {
        for (io_event& event : events.first(count)) sanitizers::completed(&event);
        add(taken_, count);
        if (load(wakes_) == 0) return count;
        unsigned kept = 0;
        for (io_event const& event : events.first(count))
            if (event.request() != &wake_block_) events[kept++] = event;
        woken = kept != count;
        add(wakes_, kept - count);
        return kept;
    }

    // Wakes one thread that sleeps.
    result<void> wake() noexcept {
        iocb* batch[] = {&wake_block_};
        add(wakes_, 1);
        submission const answer = submit_counted(batch);
        if (answer) return {};
        add(wakes_, 0u - 1);
        __atomic_store_n(&wake_failed_, true, __ATOMIC_RELAXED);
        return failure(answer.error_number());
    }

    basic_context<Kernel> context_; // its counters are not used
    detail::reset_on_move<int, no_waker> waker_;
    iocb wake_block_{};        // reads no bytes from waker_, and so completes at once
    counter announced_{};      // requests that were offered to the kernel and not refused
    counter taken_{};          // events
    counter wakes_{};          // of the requests in flight, those that wake
    bool stopping_ = false;    // waits do not sleep
    bool wake_failed_ = false; // a thread that is to stop may be asleep
    bool ended_ = false;       // by end(), under the mutex
    mutex mutex_{};            // of who takes events from the ring; no event is taken there while
    unsigned in_kernel_ = 0;   // so many threads may take some in the kernel; grows only under the mutex
};

using shared_context = basic_shared_context<>; // on Linux

} // namespace KAIO_BUILD
} // namespace kaio
