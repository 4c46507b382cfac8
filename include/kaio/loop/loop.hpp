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

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/arrivals.hpp>
#include <kaio/loop/awaitable.hpp>
#include <kaio/loop/mailbox.hpp>
#include <kaio/loop/observer.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/poll_budget.hpp>
#include <kaio/loop/request_queue.hpp>
#include <kaio/loop/slab.hpp>
#include <kaio/loop/timer_queue.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD {

struct loop_options {
    // How long, at most, to look at the empty ring before sleeping in the kernel, which costs CPU and saves the time of
    // falling asleep and waking up. Within this bound the loop finds out by itself how much pays.
    // duration::zero(): sleep at once. duration(): never sleep, and with a trusted ring never make a system call to wait
    // (without one, each look is an io_getevents).
    duration poll_limit = duration::from_ns(100'000);
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
        if (capacity == 0 || capacity == ~0u) return failure(EINVAL);
        if (options.setup.at_least != 0) ++options.setup.at_least;
        auto made = basic_context<Kernel>::try_make(capacity + 1, options.setup, std::move(kernel));
        if (!made) return failure(made.error());
        basic_loop fresh(std::move(*made), options.poll_limit);
        if (!fresh.reserve()) return failure(ENOMEM);
        return fresh;
    }

    // For passing a new loop on. A moved-from loop gives EINVAL for everything; an operation of the caller's that is
    // submitted to it completes with ECANCELED when it is destroyed. REQUIRES: nothing was submitted and is not
    // complete, and no other thread posts.
    basic_loop(basic_loop&& other) noexcept
        : context_(std::move(other.context_)), slab_(std::move(other.slab_)), queue_(std::move(other.queue_)),
          arrivals_(std::exchange(other.arrivals_, nullptr)), capacity_(std::exchange(other.capacity_, 0)),
          mailbox_(std::move(other.mailbox_)), budget_(other.budget_), observer_(std::move(other.observer_)) {
        assert(idle() && other.idle() && "kaio: a loop was moved while requests were in it");
    }
    basic_loop& operator=(basic_loop&&) = delete;
    basic_loop(const basic_loop&) = delete;
    basic_loop& operator=(const basic_loop&) = delete;

    // Completes everything: polls are cancelled, what is in flight is waited for and its handlers run, with their
    // results; what the kernel has not been given, and what handlers submit now, completes with ECANCELED; functions
    // that were posted are called. A handler that throws here ends the program. In a forked child nothing is waited for
    // and no handler runs: the requests, and what their handlers own, are the parent's.
    // A handler can't destroy its own loop: when it returns, the program ends with a message.
    ~basic_loop() {
        if (context_.usable() || capacity_ == 0) finish();
        mailbox_.close(context_);
        arrivals::dispose(arrivals_);
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
            return failure(refusal());
        slab_.grow_if_full();
        return {};
    }

    // The same with an operation that the caller owns, and that must stay until it has completed. Never fails and never
    // allocates. REQUIRES: it is neither in flight nor waiting.
    void submit(const request& what, operation& op) noexcept {
        assert(!op.busy() && "kaio: an operation was submitted again before it had completed");
        op.set_busy(context_.process_mark());
        op.fill(what.block());
        start(op);
    }
    void submit(timer what, operation& op) noexcept {
        assert(!op.busy() && "kaio: an operation was submitted again before it had completed");
        op.set_busy(context_.process_mark());
        start_timer(op, what.delay.ns());
    }

    // For `co_await`: submits when it is awaited, and gives the io_result (for fully(), the transfer_result). Never
    // fails and never allocates. The coroutine resumes where a handler would be called.
    template <submittable What> awaitable<basic_loop, What> submit(const What& what) noexcept { return {*this, what}; }

    // `co_await loop.sleep_for(100ms)` is `co_await loop.submit(after(100ms))`.
    awaitable<basic_loop, timer> sleep_for(duration delay) noexcept { return {*this, after(delay)}; }

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
    // A run that is to wait for posts, and not only for requests, needs hold(). Not from a signal handler: it allocates.
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
        if (!context_.usable()) return failure(EINVAL);
        std::size_t const before = handled();
        flush();
        gather();
        expire_timers();
        dispatch();
        return handled() - before;
    }

    // Runs until nothing is in flight, waiting, timed or held, and returns how many handlers were called. While there
    // is nothing to do it looks at the ring for a time that adapts (loop_options::poll_limit), then sleeps in one
    // io_getevents. Signals do not end it. Inside a handler or a coroutine it does not wait for what is held: that may
    // be released only when the handler or coroutine has ended. Errors as poll's, and those of io_getevents.
    std::size_t run() { return try_run().value(unusable); }
    result<std::size_t> try_run() { return drive(goal::idle, duration::unlimited, nullptr); }

    // The same until one handler was called: returns 1, or 0 if there is nothing to wait for, or after stop(). Inside a
    // handler it waits for what is held, too. Completions, timers and posts take turns.
    // With `mask`: the signal mask while it sleeps (one io_pgetevents, 4.18); a signal that arrives then ends it with
    // 0. ENOSYS where the kernel or a seccomp filter has none: let the signal's handler write to an eventfd there, and
    // poll that (a signalfd does not do, see poll() in io/request.hpp). A loop that is never idle lets no signal in.
    std::size_t run_one(const sigset_t* mask = nullptr) { return try_run_one(mask).value(unusable); }
    result<std::size_t> try_run_one(const sigset_t* mask = nullptr) {
        return drive(goal::one_handler, duration::unlimited, mask);
    }

    // As run, until `limit` (a std::chrono duration or alike) has passed: that ends the wait and no request.
    std::size_t run_for(duration limit) { return try_run_for(limit).value(unusable); }
    result<std::size_t> try_run_for(duration limit) { return drive(goal::idle, from_now(limit.ns()), nullptr); }

    // Requests that the kernel was given (or has refused) and whose handlers have not been called yet.
    std::size_t in_flight() const noexcept {
        return capacity_ - queue_.room() - queue_.batched() + ended_.size() + arrived();
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
               (!ended_.empty() || arrived() != 0 || mailbox_.full() || context_.has_completions());
    }

    // False: events are taken by io_getevents, by choice or because the ring can't be trusted.
    bool uses_ring() const noexcept { return context_.uses_ring(); }

    Observer& observer() noexcept { return observer_; }

    // Calls `function()` as handlers are called. For starting coroutines, which run on from there as handlers do.
    template <class Function> void inside(Function&& function) {
        if (!arrivals_) return function(); // the loop was moved from
        arrivals::dispatching const here(arrivals_);
        function();
    }

private:
    template <class, class> friend class awaitable;
    template <class, class> friend struct whole_transfer_handler;
    template <class> friend class notifier;

    static constexpr bool observed = !std::is_same_v<Observer, no_observer>;
    static constexpr const char* unusable =
        "kaio: loop: the kernel gave an error for the whole context; EINVAL means that the loop was moved from, or "
        "that it belongs to the process that forked this one: make a new loop in the child";

    basic_loop(basic_context<Kernel> made, duration poll_limit) noexcept
        : context_(std::move(made)), capacity_(context_.capacity() - 1), budget_(poll_limit) {}

    static basic_loop unwrap(result<basic_loop> made, unsigned asked) {
        if (!made) detail::throw_error(made.error().value(), setup_error_text(made.error().value(), asked));
        return std::move(*made);
    }

    bool reserve() noexcept {
        arrivals_ = arrivals::make(std::size_t{capacity_} + 1);
        return arrivals_ && queue_.reserve(capacity_) && slab_.grow(std::size_t{capacity_} + 1);
    }

    template <class What, class Handler> bool accept(const What& what, Handler&& handler) {
        if constexpr (std::is_same_v<What, whole_transfer>) {
            using stored = std::decay_t<Handler>;
            constexpr bool fit = std::is_invocable_v<stored&, transfer_result>;
            static_assert(fit, "kaio: the handler of fully() must be callable with a kaio::transfer_result");
            if constexpr (fit)
                return accept(what.first, whole_transfer_handler<basic_loop, stored>{this, what.progress,
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
    [[noreturn, gnu::__cold__, gnu::__noinline__]] void throw_refusal() const {
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
        if (ns == duration::unlimited) return ns;
        std::int64_t const time = now();
        return ns < duration::unlimited - time ? time + ns : duration::unlimited;
    }
    bool past(std::int64_t deadline) const noexcept { return deadline != duration::unlimited && now() >= deadline; }

    // Nothing to wait for, but what is held.
    bool idle() const noexcept { return in_flight() + waiting() + timers() == 0 && !mailbox_.full(); }

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
        if (arrivals_->empty()) gathered(context_.reap(arrivals_->room()));
    }
    void gathered(unsigned count) noexcept {
        if (count == 0) return;
        view<io_event> events(arrivals_->room().data(), count);
        if (mailbox_.wake_due()) [[unlikely]]
            events = mailbox_.drop_wake(events);
        arrivals_->fill(events);
        queue_.completed(events);
        handed_out_ += events.size();
    }
    void expire_timers() noexcept {
        if (timers_.empty()) return;
        std::int64_t const time = now();
        while (timers_.first() <= time && timers_.first() != duration::unlimited) queue_.end(timers_.pop(), 0, ended_);
    }

    // Events that were taken out of the kernel and whose handlers have not been called.
    std::size_t arrived() const noexcept { return arrivals_ ? arrivals_->size() : 0; }

    // What has handlers to call: what ended without the kernel (timers, what was cancelled or refused), what ended by
    // it, and posts.
    enum class source : unsigned char { ended, events, posts };

    // Handlers called, ever.
    std::size_t handled() const noexcept { return handed_out_ - arrived(); }

    // Calls the handlers of all that has ended. Every step is finished before the handler runs, so that it may do
    // anything. A handler that throws does not keep the sources behind it from their turn: the next call begins there.
    void dispatch() {
        arrivals::dispatching const here(arrivals_);
        if (turn_ != source::ended) [[unlikely]]
            dispatch_rest(here);
        dispatch_all_ended(here);
        dispatch_all_events(here);
        dispatch_all_posts(here);
    }
    [[gnu::__cold__, gnu::__noinline__]] void dispatch_rest(const arrivals::dispatching& here) {
        if (turn_ == source::events) dispatch_all_events(here);
        turn_ = source::ended;
        dispatch_all_posts(here);
    }

    // What ends without the kernel meanwhile, because a handler cancels it, waits for the next call.
    void dispatch_all_ended(const arrivals::dispatching& here) {
        turn_after_exception behind{turn_, source::events};
        for (std::size_t left = ended_.size(); left != 0 && !ended_.empty(); --left) {
            dispatch_ended();
            here.loop_stays();
        }
        behind.dismiss();
    }
    void dispatch_all_events(const arrivals::dispatching& here) {
        turn_after_exception behind{turn_, source::posts};
        for (arrivals& events = here.of(); !events.empty();) dispatch_event(events.pop());
        here.loop_stays();
        behind.dismiss();
    }
    void dispatch_all_posts(const arrivals::dispatching& here) {
        for (mailbox_.open(); mailbox_.opened(); here.loop_stays()) dispatch_post();
    }

    // Stores `next` in `turn` unless it is dismissed first.
    struct turn_after_exception {
        source& turn;
        source next;
        bool due = true;

        void dismiss() noexcept { due = false; }
        ~turn_after_exception() {
            if (due) turn = next;
        }
    };

    // Calls one handler, if there is one. The sources take turns, so that what is always there does not keep the others
    // from theirs.
    bool dispatch_one() {
        arrivals::dispatching const here(arrivals_);
        for (int turns = 3; turns != 0; --turns) {
            source const now = turn_;
            turn_ = now == source::ended ? source::events : now == source::events ? source::posts : source::ended;
            if (now == source::posts) mailbox_.open();
            if (now == source::ended ? ended_.empty() : now == source::events ? arrivals_->empty() : !mailbox_.opened())
                continue;
            if (now == source::ended)
                dispatch_ended();
            else if (now == source::events)
                dispatch_event(arrivals_->pop());
            else
                dispatch_post();
            return true;
        }
        return false;
    }
    void dispatch_ended() {
        ++handed_out_;
        operation& op = ended_.pop();
        complete(op, queue_.result_of(op));
    }
    void dispatch_event(const io_event& event) {
        operation& op = queue_.of(event);
        complete(op, event.res);
    }
    void dispatch_post() {
        ++handed_out_;
        mailbox_.call_first();
    }
    void complete(operation& op, std::int64_t res) {
        if constexpr (observed) observer_.on_complete();
        op.complete_(op, slab_, io_result(res));
    }

    enum class goal { idle, one_handler };

    // Until that, or the deadline (in the kernel's time) has passed, or nothing is left.
    result<std::size_t> drive(goal wanted, std::int64_t deadline, const sigset_t* mask) {
        bool const one = wanted == goal::one_handler;
        std::size_t const before = handled();
        for (std::size_t seen = before;;) {
            if (!context_.usable()) return failure(EINVAL);
            flush();
            // Without the ring, asking is a system call: the wait below asks and sleeps in one, if it may sleep.
            if (context_.uses_ring() || deadline != duration::unlimited || budget_.is_unlimited()) gather();
            expire_timers();
            bool called = one && dispatch_one();
            if (!one) {
                dispatch(); // leaves no arrivals, so handed_out_ is handled()
                called = handed_out_ != seen;
                seen = handed_out_;
            }
            if (stopped_ || (one && called)) break;
            if (!called && idle() && (holds_ == 0 || (!one && arrivals_->in_handler()))) break;
            if (past(deadline)) break;
            if (called) continue;
            if (int const error = wait(deadline, mask)) {
                if (error == EINTR && mask) break;
                if (error != EINTR) return failure(error);
            }
        }
        stopped_ = false;
        std::size_t const count = handled() - before;
        return one && count > 1 ? 1 : count; // one handler's own polls may have called others
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
        int const error = sleep(until == duration::unlimited ? until : until - looked, mask);
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
        } while (end == duration::unlimited || now() < end);
        return false;
    }

    // Sleeps in the kernel, until something completes, somebody posts, or `ns` have passed.
    int sleep(std::int64_t ns, const sigset_t* mask) noexcept {
        if (!mailbox_.doze(context_)) return 0; // somebody posted
        if constexpr (observed) observer_.on_wait();
        duration const limit = ns == duration::unlimited ? duration() : duration::from_ns(ns);
        auto const got = context_.wait(arrivals_->room(), 1, mailbox_.bounded(limit), mask);
        mailbox_.rouse(context_);
        if (!got) return got.error().value();
        gathered(*got);
        return 0;
    }

    // Ends what the kernel does not have.
    void cancel_all() noexcept {
        queue_.cancel_all(ended_);
        while (!timers_.empty()) queue_.end(timers_.pop(), -ECANCELED, ended_);
    }

    // Completes everything, for the destructor.
    void finish() {
        constexpr int patience = 8; // waits that fail
        cancel_all();
        while (!arrivals_ && !ended_.empty()) { // it was moved from
            dispatch_ended();
            cancel_all();
        }
        for (int failures = 0; arrivals_ && failures < patience;) {
            cancel_all();
            // A poll that could not be cancelled might never end: then the wait is short, and the next round tries
            // again.
            bool const cancelled = queue_.cancel_polls(context_);
            gather();
            std::size_t const before = handled();
            dispatch();
            if (handled() != before) continue;
            if (context_.in_flight() == 0) return;
            duration const limit = cancelled ? duration() : duration::from_ns(1'000'000);
            auto const got = context_.wait(arrivals_->room(), 1, mailbox_.bounded(limit));
            if (mailbox_.wake_due()) mailbox_.rouse(context_);
            if (got)
                gathered(*got);
            else if (got.error().value() != EINTR)
                ++failures;
        } // the context's own destructor still waits for the kernel
    }

    basic_context<Kernel> context_;
    operation_slab slab_{};
    request_queue<Kernel> queue_{};
    arrivals* arrivals_ = nullptr; // owned; room for capacity_ + 1 events
    unsigned capacity_;
    bool stopped_ = false;
    source turn_ = source::ended; // whose turn is next
    std::size_t handed_out_ = 0;  // handled() and what arrivals_ holds
    operation_list ended_{};      // without the kernel: refused, cancelled, timers
    timer_queue timers_{};
    std::size_t holds_ = 0;
    mailbox<Kernel> mailbox_{};
    poll_budget budget_;
    [[no_unique_address]] Observer observer_{};
};

using loop = basic_loop<>;

} // namespace kaio
