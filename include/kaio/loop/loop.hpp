// basic_loop: many requests in flight, each with its handler or the coroutine that awaits it. Submitted requests are
// gathered and given to the kernel in one batch; handlers run and coroutines resume inside poll and run, on the
// caller's stack. A loop belongs to one thread, which need not be the one that made it, and only that thread may call
// it; `post` alone is for any thread. What requests and handlers refer to must outlive them: declare it before the
// loop.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/timeout.hpp>
#include <kaio/loop/awaitable.hpp>
#include <kaio/loop/mailbox.hpp>
#include <kaio/loop/observer.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/poll_budget.hpp>
#include <kaio/loop/request_queue.hpp>
#include <kaio/loop/slab.hpp>
#include <kaio/loop/timer_queue.hpp>
#include <kaio/loop/transfer.hpp>
#include <kaio/sys/exchange.hpp>

namespace kaio {

struct loop_options {
    // How long, at most, to look at the empty ring before sleeping in the kernel, which costs CPU and saves the time of
    // falling asleep and waking up. Within this bound the loop finds out by itself how much pays.
    // timeout::zero(): sleep at once. timeout(): never sleep, never make a system call to wait.
    timeout poll_limit = timeout::from_ns(100'000);
    context_options setup = {};
};

// What can be submitted to a loop: a request, fully(request), or a timer (`after(100ms)`).
template <class What>
concept submittable =
    std::is_same_v<What, request> || std::is_same_v<What, whole_transfer> || std::is_same_v<What, timer>;

template <kernel Kernel = linux_kernel, class Observer = no_observer> class basic_loop {
public:
    // Room for `capacity` requests in flight, 1 or more; what is submitted beyond that waits in the loop, first in,
    // first out. Throws std::system_error as basic_context does, or ENOMEM. Allocates for `capacity` requests, so that
    // the steady state allocates nothing. The context has room for one event more, which is post's.
    explicit basic_loop(unsigned capacity, loop_options options = {}, Kernel kernel = {})
        : basic_loop(unwrap(try_make(capacity, options, std::move(kernel)), capacity)) {}

    // The same without exceptions; as of basic_context::try_make, the error's message() names cause and remedy.
    static const std::error_category& error_category() noexcept { return basic_context<Kernel>::error_category(); }
    static result<basic_loop> try_make(unsigned capacity, loop_options options = {}, Kernel kernel = {}) noexcept {
        using failure = result<basic_loop>;
        if (capacity == 0 || capacity == ~0u) return failure::failure(EINVAL);
        if (options.setup.at_least != 0) ++options.setup.at_least;
        auto made = basic_context<Kernel>::try_make(capacity + 1, options.setup, std::move(kernel));
        if (!made) return failure::failure(made.error().value());
        basic_loop fresh(std::move(*made), options.poll_limit);
        if (!fresh.reserve()) return failure::failure(ENOMEM);
        return fresh;
    }

    // For passing a new loop on. A moved-from loop gives EINVAL for everything; an operation of the caller's that is
    // submitted to it completes with ECANCELED when it is destroyed. REQUIRES: nothing was submitted and is not
    // complete, and no other thread posts.
    basic_loop(basic_loop&& other) noexcept
        : context_(std::move(other.context_)), slab_(std::move(other.slab_)), queue_(std::move(other.queue_)),
          storage_(std::move(other.storage_)), events_(detail::exchange(other.events_, nullptr)),
          next_event_(detail::exchange(other.next_event_, nullptr)),
          end_event_(detail::exchange(other.end_event_, nullptr)), capacity_(detail::exchange(other.capacity_, 0)),
          mailbox_(std::move(other.mailbox_)), budget_(other.budget_), observer_(std::move(other.observer_)) {
        assert(idle() && other.idle() && "kaio: a loop was moved while requests were in it");
    }
    basic_loop& operator=(basic_loop&&) = delete;

    // Completes everything: polls are cancelled, what is in flight is waited for and its handlers run, with their
    // results; what the kernel has not been given, and what handlers submit now, completes with ECANCELED; functions
    // that were posted are called. A handler that throws here ends the program. In a forked child nothing is waited for
    // and no handler runs: the requests, and what their handlers own, are the parent's.
    ~basic_loop() {
        if (context_.usable() || capacity_ == 0) finish();
        mailbox_.close(context_);
    }

    // Takes something on: it goes to the kernel at the next flush, poll or run. `handler(io_result)`, for fully()
    // `handler(transfer_result)`, is called exactly once, inside poll or run (or the destructor), with the kernel's
    // result or the error io_submit gave for it. A handler may submit, poll, run and throw; a handler that throws lets
    // the exception out of poll or run, and the loop goes on from there. Handlers of more than 48 bytes (16 for fully)
    // cost an allocation each. No system call.
    // Throws std::system_error (ENOMEM; EINVAL if it was moved from), and then nothing was submitted.
    template <submittable What, class Handler>
        requires(!std::is_base_of_v<operation, std::remove_cvref_t<Handler>>)
    void submit(const What& what, Handler&& handler) {
        if (!accept(what, std::forward<Handler>(handler))) [[unlikely]]
            throw_refusal();
        slab_.grow_if_full(); // last, so that the fast path has nothing to keep for afterwards
    }

    // The same without exceptions: ENOMEM or EINVAL, and the handler is untouched.
    template <submittable What, class Handler>
        requires(!std::is_base_of_v<operation, std::remove_cvref_t<Handler>>)
    result<void> try_submit(const What& what, Handler&& handler) {
        if (!accept(what, std::forward<Handler>(handler))) [[unlikely]]
            return result<void>::failure(refusal());
        slab_.grow_if_full();
        return {};
    }

    // The same with an operation that the caller owns, and that must stay until it has completed. Never fails and never
    // allocates. REQUIRES: it is neither in flight nor waiting.
    void submit(const request& what, operation& op) noexcept {
        assert(!op.busy() && "kaio: an operation was submitted again before it had completed");
        op.set_busy();
        op.fill(what.block());
        start(op);
    }
    void submit(timer what, operation& op) noexcept {
        assert(!op.busy() && "kaio: an operation was submitted again before it had completed");
        op.set_busy();
        start_timer(op, what.delay.ns());
    }

    // For `co_await`: submits when it is awaited, and gives the io_result (for fully(), the transfer_result). Never
    // fails and never allocates. The coroutine resumes where a handler would be called.
    template <submittable What> awaitable<basic_loop, What> submit(const What& what) noexcept { return {*this, what}; }

    // `co_await loop.sleep_for(100ms)` is `co_await loop.submit(after(100ms))`.
    awaitable<basic_loop, timer> sleep_for(timeout delay) noexcept { return {*this, after(delay)}; }

    // Asks for an operation to end early; it still completes, exactly once. What the kernel was not given yet, and
    // timers, complete with ECANCELED, and polls in flight do so soon. EINVAL: it has completed, or is a disk request
    // in flight, which nothing can cancel: it goes on, and owns its buffer. One io_cancel if it is in flight. Looks
    // through what waits.
    result<void> cancel(operation& op) noexcept {
        if (timers_.remove(op) || queue_.remove(op)) {
            queue_.end(op, -ECANCELED, ended_);
            return {};
        }
        return context_.cancel(op.block_);
    }

    // Has `function()` called by the loop's thread, inside poll or run (or the destructor), in the order of posting;
    // what it throws leaves poll or run. Any thread, as long as the loop is not being destroyed. One allocation, and
    // one system call if the loop sleeps, to wake it; none if it does not. The first post of a loop opens a descriptor.
    // A run that is to wait for posts, and not only for requests, needs hold().
    // Errors: EINVAL (in a forked child, or the loop was moved from), ENOMEM, EMFILE and ENFILE: nothing was posted. If
    // io_submit gives an error the loop could not be woken: the function runs when it next wakes, by itself or for a
    // post.
    template <class Function> void post(Function&& function) {
        try_post(std::forward<Function>(function)).value("kaio: loop.post");
    }
    template <class Function> result<void> try_post(Function&& function) {
        static_assert(std::is_invocable_v<std::decay_t<Function>&>,
                      "kaio: what is posted must be callable with no argument");
        return mailbox_.post(context_, std::forward<Function>(function));
    }

    // Makes run, run_one or run_for return once the handlers of what has completed are done: the one that is running,
    // or else the next. From another thread: `loop.post([&] { loop.stop(); })`.
    void stop() noexcept { stopped_ = true; }

    // While it is held, run does not return for lack of work: it waits for what may be posted.
    void hold() noexcept { ++holds_; }
    void release() noexcept { --holds_; }

    // Gives all that was submitted, and that has room, to the kernel: one io_submit, however many requests; none if
    // there are none. Calls no handler: a request that io_submit refuses completes at the next poll. If the kernel has
    // no room (EAGAIN), the rest is kept, and tried again when something has completed. Returns how many were taken.
    unsigned flush() noexcept {
        unsigned accepted = 0;
        while (queue_.ready(context_)) {
            accepted += submit_batch();
            if (queue_.kernel_full()) break;
        }
        return accepted;
    }

    // Flushes, then calls the handlers of what has completed and what was posted; never waits. Returns how many were
    // called, those in polls that handlers made included. No system call but the flush's (without a trusted ring, one
    // io_getevents if something is in flight).
    // Throws what a handler throws, and std::system_error (EINVAL) in a forked child or if it was moved from.
    std::size_t poll() { return try_poll().value(unusable); }
    result<std::size_t> try_poll() {
        if (!context_.usable()) return result<std::size_t>::failure(EINVAL);
        flush();
        gather();
        expire_timers();
        return dispatch();
    }

    // Runs until nothing is in flight, waiting, timed or held, and returns how many handlers were called. While there
    // is nothing to do it looks at the ring for a time that adapts (loop_options::poll_limit), then sleeps in one
    // io_getevents. Signals do not end it. Errors as poll's, and what io_getevents gives.
    std::size_t run() { return try_run().value(unusable); }
    result<std::size_t> try_run() { return drive(false, timeout::unlimited, nullptr); }

    // The same until one handler was called: returns 1, or 0 if there is nothing to wait for, or after stop().
    // With `mask`: the signal mask while it sleeps (one io_pgetevents, 4.18); a signal that arrives then ends it with
    // 0. ENOSYS where the kernel or a seccomp filter has none: let the signal's handler write to an eventfd there, and
    // poll that (a signalfd does not do, see poll() in io/request.hpp). A loop that is never idle lets no signal in.
    std::size_t run_one(const sigset_t* mask = nullptr) { return try_run_one(mask).value(unusable); }
    result<std::size_t> try_run_one(const sigset_t* mask = nullptr) { return drive(true, timeout::unlimited, mask); }

    // As run, until `limit` (a std::chrono duration or alike) has passed: that ends the wait and no request.
    std::size_t run_for(timeout limit) { return try_run_for(limit).value(unusable); }
    result<std::size_t> try_run_for(timeout limit) { return drive(false, from_now(limit.ns()), nullptr); }

    // Requests that the kernel was given (or has refused) and whose handlers have not been called yet.
    std::size_t in_flight() const noexcept {
        return capacity_ - queue_.room() - queue_.batched() + ended_.size() + unhandled();
    }

    // Requests that were submitted to the loop and not yet given to the kernel.
    std::size_t waiting() const noexcept { return queue_.waiting(); }

    // Timers that have not expired.
    std::size_t timers() const noexcept { return timers_.size(); }

    // Requests that can be in flight at once: what was asked for, or what context_options::at_least made do with.
    unsigned capacity() const noexcept { return capacity_; }

    // True if the next poll would call a handler for what has completed. About a nanosecond, no system call; without
    // a trusted ring as basic_context::has_completions. Timers that are due are not seen.
    bool has_completions() const noexcept {
        return context_.usable() &&
               (!ended_.empty() || unhandled() != 0 || mailbox_.full() || context_.has_completions());
    }

    // False: events are taken by io_getevents, by choice or because the ring can't be trusted.
    bool uses_ring() const noexcept { return context_.uses_ring(); }

    Observer& observer() noexcept { return observer_; }

private:
    template <class, class> friend class awaitable;
    template <class, class> friend struct whole_transfer_handler;
    template <class> friend class notifier;

    static constexpr bool observed = !std::is_same_v<Observer, no_observer>;
    static constexpr const char* unusable =
        "kaio: loop: the kernel gave an error for the whole context; EINVAL means that the loop was moved from, or "
        "that it belongs to the process that forked this one: make a new loop in the child";

    basic_loop(basic_context<Kernel> made, timeout poll_limit) noexcept
        : context_(std::move(made)), capacity_(context_.capacity() - 1), budget_(poll_limit) {}

    static basic_loop unwrap(result<basic_loop> made, unsigned asked) {
        if (!made) detail::throw_error(made.error().value(), setup_error_text(made.error().value(), asked));
        return std::move(*made);
    }

    bool reserve() noexcept {
        auto storage = aligned_buffer::try_make((capacity_ + 1) * sizeof(io_event), alignof(io_event));
        if (!storage || !queue_.reserve(capacity_) || !slab_.grow(std::size_t{capacity_} + 1)) return false;
        storage_ = std::move(*storage);
        events_ = next_event_ = end_event_ = reinterpret_cast<io_event*>(storage_.data());
        return true;
    }

    template <class What, class Handler> bool accept(const What& what, Handler&& handler) {
        if constexpr (std::is_same_v<What, whole_transfer>) {
            using stored = std::decay_t<Handler>;
            constexpr bool fit = std::is_invocable_v<stored&, transfer_result>;
            static_assert(fit, "kaio: the handler of fully() must be callable with a kaio::transfer_result");
            if constexpr (fit)
                return accept(what.what, whole_transfer_handler<basic_loop, stored>{this, transfer_progress(what.what),
                                                                                    std::forward<Handler>(handler)});
        } else {
            static_assert(completion_handler<Handler>, "kaio: a handler must be callable with a kaio::io_result");
            if constexpr (completion_handler<Handler>) {
                operation* const op = slab_.full() ? nullptr : slab_.take(std::forward<Handler>(handler));
                if (!op) [[unlikely]]
                    return false;
                if constexpr (std::is_same_v<What, timer>) {
                    start_timer(*op, what.delay.ns());
                } else {
                    op->fill(what.block());
                    start(*op);
                }
            }
        }
        return true;
    }
    int refusal() const noexcept { return capacity_ == 0 ? EINVAL : ENOMEM; }
    [[noreturn, gnu::cold, gnu::noinline]] void throw_refusal() const {
        detail::throw_error(refusal(),
                            "kaio: loop.submit: no memory for one more operation, or the loop was moved from");
    }

    // REQUIRES: op's iocb is filled in, and it is busy
    void start(operation& op) noexcept {
        if constexpr (observed) observer_.on_submit();
        queue_.push(op);
    }
    void start_timer(operation& op, std::int64_t delay) noexcept {
        if constexpr (observed) observer_.on_submit();
        timers_.insert(op, from_now(delay));
    }

    std::int64_t now() const noexcept { return context_.get_kernel().now(); }
    std::int64_t from_now(std::int64_t ns) const noexcept {
        if (ns == timeout::unlimited) return ns;
        std::int64_t const time = now();
        return ns < timeout::unlimited - time ? time + ns : timeout::unlimited;
    }
    bool past(std::int64_t deadline) const noexcept { return deadline != timeout::unlimited && now() >= deadline; }

    // Nothing to wait for.
    bool idle() const noexcept { return in_flight() + waiting() + timers() + holds_ == 0 && !mailbox_.full(); }

    unsigned submit_batch() noexcept {
        if constexpr (observed) {
            unsigned const before = context_.completions();
            std::int64_t const started = now();
            unsigned const accepted = queue_.submit(context_, ended_);
            std::int64_t const ended = now();
            observer_.on_batch(accepted, context_.completions() - before, ended - started);
            return accepted;
        } else {
            return queue_.submit(context_, ended_);
        }
    }

    // Takes events out of the kernel, unless some are still to be handled.
    void gather() noexcept {
        if (next_event_ == end_event_) gathered(context_.reap({events_, capacity_ + std::size_t{1}}));
    }
    void gathered(unsigned count) noexcept {
        next_event_ = events_;
        end_event_ = events_ + count;
        if (count == 0) return;
        if (mailbox_.wake_due()) [[unlikely]]
            end_event_ = mailbox_.drop_wake({events_, unhandled()});
        queue_.completed({events_, unhandled()});
        handed_out_ += unhandled();
    }
    void expire_timers() noexcept {
        if (timers_.empty()) return;
        std::int64_t const time = now();
        while (timers_.first() <= time && timers_.first() != timeout::unlimited) queue_.end(timers_.pop(), 0, ended_);
    }

    // Events that were taken out of the kernel and whose handlers have not been called.
    std::size_t unhandled() const noexcept { return static_cast<std::size_t>(end_event_ - next_event_); }

    // Calls the handlers of what has ended, in this order: without the kernel, by it, posts. Every step is finished
    // before the handler runs, so that it may do anything.
    std::size_t dispatch() {
        std::size_t const before = handed_out_ - unhandled();
        while (!ended_.empty()) dispatch_ended();
        while (next_event_ != end_event_) dispatch_event();
        for (mailbox_.open(); mailbox_.opened();) dispatch_post();
        return handed_out_ - unhandled() - before;
    }
    std::size_t dispatch_one() {
        if (!ended_.empty())
            dispatch_ended();
        else if (next_event_ != end_event_)
            dispatch_event();
        else if (mailbox_.open(); mailbox_.opened())
            dispatch_post();
        else
            return 0;
        return 1;
    }
    void dispatch_ended() {
        ++handed_out_;
        operation& op = ended_.pop();
        complete(op, queue_.result_of(op));
    }
    void dispatch_event() {
        io_event const& event = *next_event_++;
        complete(queue_.of(event), event.res);
    }
    void dispatch_post() {
        ++handed_out_;
        mailbox_.call_first();
    }
    void complete(operation& op, std::int64_t res) {
        if constexpr (observed) observer_.on_complete();
        op.complete_(op, slab_, io_result(res));
    }

    // Until `one` handler was called, or the deadline (in the kernel's time) has passed, or nothing is left.
    result<std::size_t> drive(bool one, std::int64_t deadline, const sigset_t* mask) {
        std::size_t count = 0;
        for (;;) {
            if (!context_.usable()) return result<std::size_t>::failure(EINVAL);
            flush();
            // Without the ring, asking is a system call: the wait below asks and sleeps in one.
            if (context_.uses_ring() || deadline != timeout::unlimited) gather();
            expire_timers();
            std::size_t const called = one ? dispatch_one() : dispatch();
            count += called;
            if (detail::exchange(stopped_, false) || (one && called != 0)) break;
            if (called == 0 && idle()) break;
            if (past(deadline)) break;
            if (called != 0) continue;
            if (int const error = wait(deadline, mask)) {
                if (error == EINTR && mask) break;
                if (error != EINTR) return result<std::size_t>::failure(error);
            }
        }
        return count;
    }

    // Waits for something to end, first by looking, then asleep. Returns an errno, or 0.
    int wait(std::int64_t deadline, const sigset_t* mask) noexcept {
        bool const expecting = context_.in_flight() != 0;
        if (!expecting && queue_.waiting() != 0) return 0; // the kernel refused all there is: the next flush says more
        std::int64_t const until = timers_.first() < deadline ? timers_.first() : deadline;
        std::int64_t const started = now();
        if (expecting) budget_.waiting(started, context_.reaped());
        if (look(started, until, expecting)) return 0;
        std::int64_t const looked = now();
        if (looked >= until) return 0;
        int const error = sleep(until == timeout::unlimited ? until : until - looked, mask);
        if (error == 0 && expecting) budget_.slept(now() - started);
        return error;
    }

    // Looks at the ring and the mailbox for as long as the budget says: true if something came.
    bool look(std::int64_t started, std::int64_t until, bool expecting) noexcept {
        if (!(budget_.is_unlimited() || (expecting && context_.uses_ring() && budget_.ns() != 0))) return false;
        std::int64_t const end = budget_.ns() < until - started ? started + budget_.ns() : until;
        do {
            for (int i = 0; i < 16; ++i) {
                if (context_.has_completions() || mailbox_.full()) return true;
                context_.get_kernel().relax();
            }
        } while (end == timeout::unlimited || now() < end);
        return false;
    }

    // Sleeps in the kernel, until something completes, somebody posts, or `ns` have passed.
    int sleep(std::int64_t ns, const sigset_t* mask) noexcept {
        if (!mailbox_.doze(context_)) return 0; // somebody posted
        if constexpr (observed) observer_.on_wait();
        timeout const limit = ns == timeout::unlimited ? timeout() : timeout::from_ns(ns);
        auto const got = context_.wait({events_, capacity_ + std::size_t{1}}, 1, mailbox_.bounded(limit), mask);
        mailbox_.rouse(context_);
        if (!got) return got.error().value();
        gathered(*got);
        return 0;
    }

    // Completes everything, for the destructor.
    void finish() {
        constexpr int patience = 8; // waits that fail
        for (int failures = 0; failures < patience;) {
            queue_.cancel_all(ended_);
            while (!timers_.empty()) queue_.end(timers_.pop(), -ECANCELED, ended_);
            // A poll that could not be cancelled might never end: then the wait is short, and the next round tries
            // again.
            bool const cancelled = queue_.cancel_polls(context_);
            gather();
            if (dispatch() != 0) continue;
            if (context_.in_flight() == 0) return;
            timeout const limit = cancelled ? timeout() : timeout::from_ns(1'000'000);
            auto const got = context_.wait({events_, capacity_ + std::size_t{1}}, 1, mailbox_.bounded(limit));
            if (mailbox_.wake_due()) mailbox_.rouse(context_);
            if (got)
                gathered(*got);
            else if (got.error().value() != EINTR)
                ++failures;
        } // the context's own destructor still waits for the kernel
    }

    basic_context<Kernel> context_;
    operation_slab slab_;
    request_queue<Kernel> queue_;
    aligned_buffer storage_; // of events_: room for capacity_ + 1
    io_event* events_ = nullptr;
    io_event* next_event_ = nullptr; // events_ from here on are taken and not handled
    io_event* end_event_ = nullptr;  // events_ up to here
    unsigned capacity_;
    bool stopped_ = false;
    std::size_t handed_out_ = 0; // handlers called ever, plus unhandled()
    operation_list ended_;       // without the kernel: refused, cancelled, timers
    timer_queue timers_;
    std::size_t holds_ = 0;
    mailbox<Kernel> mailbox_;
    poll_budget budget_;
    [[no_unique_address]] Observer observer_;
};

using loop = basic_loop<>;

} // namespace kaio
