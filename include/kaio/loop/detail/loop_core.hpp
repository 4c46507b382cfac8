// loop_core: what a basic_loop is made of, and how its parts work together. Its fields are public, for the headers of
// this folder and the one above.
//
// A request's way: submit puts it into an operation of the slab, of a coroutine's frame or of the caller. It stands in
// the queue until flush hands it to the kernel, and in the completions from then on until its handler is called:
//
//     submit ──► queue ──► flush ──► context ──► gather ──► completions ──► handler
//                  └─ refused, cancelled ──────────────────────────┘ │
//     submit ──► timers ──► expire_timers ───────────────────────────┘
//
// In a loop with helpers, flush and gather ask the detour which way a request goes.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <type_traits>
#include <utility>

#include <signal.h>

#include <kaio/io/context.hpp>
#include <kaio/io/descriptor.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/owning.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/detail/completions.hpp>
#include <kaio/loop/detail/detour.hpp>
#include <kaio/loop/detail/handler_check.hpp>
#include <kaio/loop/detail/mailbox.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/operation_slab.hpp>
#include <kaio/loop/detail/owning_handler.hpp>
#include <kaio/loop/detail/request_queue.hpp>
#include <kaio/loop/detail/running_thread.hpp>
#include <kaio/loop/detail/timer_queue.hpp>
#include <kaio/loop/detail/waiter.hpp>
#include <kaio/loop/detail/whole_transfer_handler.hpp>
#include <kaio/loop/observer.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer.hpp>
#include <kaio/loop/transfer.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// What basic_loop::prepare_to_wait returns.
struct prepared_wait {
    bool ready;            // there is something to do at once: poll, and do not wait
    std::int64_t deadline; // when to poll at the latest, in the kernel's time (ns); duration::unlimited: never
};

template <kernel Kernel, class Observer> class loop_core {
public:
    operation_slab slab{};             // the loop's own operations, with their handlers
    basic_context<Kernel> context;     // the kernel's, with room for `capacity` requests and a wake
    request_queue<Kernel> queue{};     // submitted, and not given to the kernel
    timer_queue timers{};              // not expired
    detail::completions completions{}; // completed, and their handlers are still to be called
    detail::mailbox<Kernel> mailbox{}; // posted functions, and what wakes the loop for them
    detail::waiter<Kernel> waiter;     // how it waits: spinning, then asleep
    reset_on_move<unsigned> capacity;  // requests in flight at once; 0: moved from
    std::size_t holds = 0;             // what release has not ended
    std::size_t offloads = 0;          // what other threads do for it, and has not come back
    bool stopped = false;              // run is to return
    unsigned scopes = 0;               // request_scopes that submit to it
    running_thread running{};          // who is inside poll or run, in a debug build
    [[no_unique_address]] Observer observer{};
    struct deleter {
        void operator()(detail::detour<loop_core>* deleted) const noexcept { delete deleted; }
    };
    owned<detail::detour<loop_core>*, nullptr, deleter> detour{}; // null: a loop without helpers
    bool prepares = false; // it has a detour or a notifier, so a batch is looked through before it is submitted

    // one_turn: as one_handler, but stop() does not end it and is not forgotten.
    enum goal : unsigned char { nothing_left, one_handler, one_turn };

    // Making and destroying: see basic_loop.
    static result<loop_core> try_make(unsigned capacity, context_options options, duration spin_limit,
                                      Kernel kernel) noexcept {
        if (capacity == 0 || capacity == ~0u) return failure(EINVAL);
        if (options.at_least != 0) ++options.at_least;
        auto context = basic_context<Kernel>::try_make(capacity + 1, options, std::move(kernel));
        if (!context) return failure(context.error());
        loop_core made(std::move(*context), spin_limit);
        if (!made.reserve()) return failure(ENOMEM);
        return made;
    }
    // The same with helpers.
    template <class Team>
    static result<loop_core> try_make(unsigned capacity, context_options options, duration spin_limit, Kernel kernel,
                                      Team& team) noexcept {
        if (!team.usable()) return failure(EINVAL);
        result<loop_core> made = try_make(capacity, options, spin_limit, std::move(kernel));
        if (!made) return made;
        made->detour.reset(helper_detour<loop_core>::make(team));
        made->prepares = true;
        if (!made->detour) return failure(ENOMEM);
        if (int const error = made->mailbox.open(made->context)) return failure(error);
        return made;
    }
    loop_core(loop_core&& other) noexcept
        : slab(std::move(other.settled().slab)), context(std::move(other.context)), queue(std::move(other.queue)),
          completions(std::move(other.completions)), mailbox(std::move(other.mailbox)), waiter(other.waiter),
          capacity(std::move(other.capacity)), observer(std::move(other.observer)), detour(std::move(other.detour)),
          prepares(other.prepares) {
        assert(is_idle() && other.is_idle() && "kaio: a loop was moved while requests were in it");
        assert(other.scopes == 0 && "kaio: a loop was moved while a request_scope submits to it");
    }
    loop_core(const loop_core&) = delete;
    loop_core& operator=(const loop_core&) = delete;
    ~loop_core() {
        assert((scopes == 0 || !context.usable()) &&
               "kaio: a loop was destroyed before a request_scope that submits to it");
        assert_thread();
#ifndef NDEBUG
        report_forgotten();
#endif
        if (context.usable() || capacity == 0) complete_all();
        if (context.usable() && detour) detour.get()->close();
        mailbox.close(context);
    }

    // Submits with an operation of the slab. Returns false if there is none, and then `handler` is untouched.
    template <class Handler> [[gnu::__always_inline__]] bool submit(const request& request, Handler&& handler) {
        using stored = stored_handler<Handler>;
        constexpr bool fits = completion_handler<stored>;
        static_assert(a_handler_takes<io_result>::but_this_is<stored>::value,
                      "kaio: a handler must be callable with a kaio::io_result");
        if constexpr (fits) return submit_as<stored>(request, std::forward<Handler>(handler));
        return true;
    }
    template <class Handler> bool submit(const whole_transfer& transfer, Handler&& handler) {
        using stored = stored_handler<Handler>;
        constexpr bool fits = std::is_invocable_v<stored&, transfer_result>;
        static_assert(a_handler_takes<transfer_result>::but_this_is<stored>::value,
                      "kaio: the handler of fully() must be callable with a kaio::transfer_result");
        if constexpr (fits)
            return submit_as<whole_transfer_handler<loop_core, stored>>(transfer.first, *this, transfer.progress,
                                                                        std::forward<Handler>(handler));
        return true;
    }
    template <class Handler> bool submit(timer timer, Handler&& handler) {
        using stored = stored_handler<Handler>;
        constexpr bool fits = completion_handler<stored>;
        static_assert(a_handler_takes<io_result>::but_this_is<stored>::value,
                      "kaio: a handler must be callable with a kaio::io_result");
        if constexpr (fits) {
            assert_thread();
            operation_core* const operation = slab.template acquire<stored>(std::forward<Handler>(handler)).operation;
            if (!operation) [[unlikely]]
                return false;
            start_timer(*operation, timer.delay.ns());
        }
        return true;
    }

    // A request that owns its buffer and is not an rvalue: here is the error that says so.
    template <class What, class Handler>
        requires is_owning<What>
    bool submit(What&, Handler&&) {
        static_assert(!is_owning<What>, "kaio: a request that owns its buffer is handed over with it: "
                                        "loop.submit(std::move(request), handler)");
        return false;
    }

    // The same with a buffer that is handed over. If it returns false, the buffer is untouched, too.
    template <class Buffer, class Handler>
    [[gnu::__always_inline__]] bool submit(owning<request, Buffer>&& owned, Handler&& handler) {
        using function = stored_handler<Handler>;
        using stored = owning_handler<Buffer, function>;
        constexpr bool fits = takes_buffer<function, io_result, Buffer> || completion_handler<function>;
        static_assert(fits,
                      "kaio: the handler of a request that owns its buffer must be callable with a kaio::io_result "
                      "and the buffer, or without the buffer");
        if constexpr (fits)
            return submit_as<stored>(owned.work(), std::move(owned.buffer()), std::forward<Handler>(handler));
        return true;
    }
    template <class Buffer, class Handler> bool submit(owning<whole_transfer, Buffer>&& owned, Handler&& handler) {
        using function = stored_handler<Handler>;
        using stored = whole_transfer_handler<loop_core, owning_handler<Buffer, function>>;
        constexpr bool fits =
            takes_buffer<function, transfer_result, Buffer> || std::is_invocable_v<function&, transfer_result>;
        static_assert(fits, "kaio: the handler of a fully() that owns its buffer must be callable with a "
                            "kaio::transfer_result and the buffer, or without the buffer");
        if constexpr (fits)
            return submit_as<stored>(owned.work().first, *this, owned.work().progress, std::move(owned.buffer()),
                                     std::forward<Handler>(handler));
        return true;
    }

    // The same with an operation that the caller keeps.
    void submit(const request& request, operation_core& operation) noexcept {
        make_busy(operation);
        operation.set_request(request.block());
        start(operation);
    }
    void submit(timer timer, operation_core& operation) noexcept {
        make_busy(operation);
        start_timer(operation, timer.delay.ns());
    }
    template <class Handler> void submit(const whole_transfer& transfer, owned_operation<Handler>& operation) noexcept {
        static_assert(a_handler_takes<transfer_result>::but_this_is<Handler>::value,
                      "kaio: the handler of fully() must be callable with a kaio::transfer_result");
        static_assert(!completion_handler<Handler>,
                      "kaio: the handler of an operation for fully() must not take a kaio::io_result too");
        if constexpr (transfer_handler<Handler>) {
            make_busy(core_of(operation));
            core_of(operation).set_request(transfer.first);
            operation.begin(transfer.progress, *this);
            start(core_of(operation));
        }
    }
    // So that its destructor notices that it has not completed. The slab's own operations need no mark.
    void make_busy(operation_core& operation) const noexcept {
        assert_thread();
        assert(!operation.busy() && "kaio: an operation was submitted again before it had completed");
        operation.set_busy(context.process_mark());
    }
    // REQUIRES: it has the form of a request
    void start(operation_core& operation) noexcept {
        if constexpr (is_observed) observer.on_submit();
        queue.push(operation);
    }
    void start_timer(operation_core& operation, std::int64_t delay) noexcept {
        if constexpr (is_observed) observer.on_submit();
        timers.insert(operation, deadline_in(delay));
    }

    // Completes an operation that was never submitted, in the next poll.
    void finish(operation_core& operation, int result) noexcept {
        if constexpr (is_observed) observer.on_submit();
        completions.add_outcome(operation, result);
    }

    result<void> cancel(operation_core& operation) noexcept {
        if (withdraw(operation)) return {};
        return context.cancel(operation.as.request);
    }
    // Lets an operation that neither the kernel nor a helper has complete with ECANCELED. Returns false if it is in
    // flight or has completed.
    bool withdraw(operation_core& operation) noexcept {
        assert_thread();
        if (!timers.remove(operation) && !queue.remove(operation) &&
            !(detour && detour.get()->remove(*this, operation)))
            return false;
        completions.add_outcome(operation, -ECANCELED);
        return true;
    }

    unsigned flush() noexcept {
        assert_thread();
        unsigned accepted = 0;
        if (queue.ready(context)) {
            do accepted += submit_batch();
            while (queue.ready(context) && !queue.kernel_full());
        }
        return accepted;
    }

    result<std::size_t> poll() {
        if (!context.usable()) return failure(EINVAL);
        assert_thread();
#ifndef NDEBUG
        running_thread::scope const inside(running);
#endif
        std::size_t const before = completions.handled();
        flush();
        gather();
        expire_timers();
        return completions.dispatch(mailbox, completer()) - before;
    }

    // Returns when the goal is reached, the deadline (in the kernel's time) has passed, or there is nothing to wait
    // for.
    result<std::size_t> run_until(goal wanted, std::int64_t deadline, const sigset_t* mask) {
        if (!context.usable()) return failure(EINVAL);
        assert_thread();
#ifndef NDEBUG
        running_thread::scope const inside(running);
#endif
        std::size_t const before = completions.handled();
        std::size_t handled = before;
        bool const one = wanted != nothing_left;
        for (;;) {
            if (!context.usable()) return failure(EINVAL); // a handler has forked, and this is the child
            // What the handlers of events that were taken together submit goes to the kernel together.
            if (!one || !completions.has_events()) flush();
            // Without the ring, asking is a system call. The wait below asks and sleeps in one, if it may sleep.
            if (context.uses_ring() || deadline != duration::unlimited || waiter.always_spins()) gather();
            expire_timers();
            std::size_t const handled_before = handled;
            handled = one ? completions.dispatch_one(mailbox, completer()) : completions.dispatch(mailbox, completer());
            if (stopped && wanted != one_turn) break;
            if (handled != handled_before) {
                if (one || is_past(deadline)) break;
                end_turn();
                begin_turn();
                continue;
            }
            if (is_idle() && !waits_for_holder(wanted)) break;
            if (is_past(deadline)) break;
            if (int const error = wait(deadline, mask)) {
                if (error == EINTR && mask) break;
                if (error != EINTR) return failure(error);
            }
        }
        if (wanted != one_turn) stopped = false;
        std::size_t const count = handled - before;
        return one && count > 1 ? 1 : count; // that handler's own polls may have called others
    }

    // Requests that the kernel was given (or has refused) and whose handlers have not been called.
    std::size_t in_flight() const noexcept { return capacity - queue.room() + completions.size(); }

    bool has_completions() const noexcept {
        return context.usable() && (completions.size() != 0 || mailbox.has_posts() || context.has_completions());
    }

    // `ns` from now, in the kernel's time. What is unlimited stays so, and what is too long to be a time becomes so.
    std::int64_t deadline_in(std::int64_t ns) const noexcept {
        if (ns == duration::unlimited) return ns;
        std::int64_t const time = now();
        return ns < duration::unlimited - time ? time + ns : duration::unlimited;
    }

    // For what waits in the loop's place: see basic_loop.
    bool attach(int eventfd) noexcept {
        if (queue.eventfd() >= 0) return false;
        queue.set_eventfd(eventfd);
        mailbox.set_eventfd(eventfd);
        prepares = true;
        return true;
    }
    void detach(int eventfd) noexcept {
        if (queue.eventfd() != eventfd) return;
        mailbox.stop_listening(context);
        queue.set_eventfd(-1);
        mailbox.set_eventfd(-1);
        prepares = static_cast<bool>(detour);
    }
    prepared_wait prepare_to_wait() noexcept {
        flush();
        bool const retry = queue.ready(context); // nothing is in flight whose completion would say when to retry
        bool const listening = mailbox.listen(context);
        std::int64_t deadline = timers.earliest();
        if (mailbox.waking()) { // if the wake fails, no event says so
            std::int64_t const soon = deadline_in(mailbox.bounded(duration()).ns());
            if (soon < deadline) deadline = soon;
        }
        return {!listening || retry || has_completions(), deadline};
    }

    // A debug build notices a call by another thread while one is inside poll or run. A forked child has no such
    // thread.
    void assert_thread() const noexcept {
        assert((running.is_this_or_none() || !context.usable()) &&
               "kaio: a loop was called while another thread runs it; only post is for any thread");
    }

private:
    static constexpr bool is_observed = !std::is_same_v<Observer, no_observer>;

    loop_core(basic_context<Kernel> made, duration spin_limit) noexcept
        : context(std::move(made)), waiter(spin_limit), capacity(context.capacity() - 1) {}

    // After it a helper that was at the end of its work for this loop has left it.
    loop_core& settled() noexcept {
        if (detour) detour.get()->close();
        return *this;
    }

    bool reserve() noexcept {
        std::size_t const with_wake = std::size_t{capacity} + 1;
        return completions.reserve(with_wake) && queue.reserve(capacity) && slab.grow(with_wake);
    }

    // Submits with an operation of the slab, whose handler is a Stored that is made of the arguments.
    template <class Stored, class... Arguments>
    [[gnu::__always_inline__]] bool submit_as(iocb request, Arguments&&... arguments) {
        assert_thread();
        auto const [operation, handler] = slab.template acquire<Stored>(std::forward<Arguments>(arguments)...);
        if (!operation) [[unlikely]]
            return false;
        detail::name_buffer(request, *handler);
        operation->set_request(request);
        start(*operation);
        return true;
    }

    unsigned submit_batch() noexcept {
        if constexpr (is_observed) {
            unsigned const there = context.completions();
            std::int64_t const began = now();
            unsigned const accepted = give_to_kernel();
            std::int64_t const ns = now() - began;
            observer.on_batch(accepted, context.completions() - there, ns);
            return accepted;
        } else {
            return give_to_kernel();
        }
    }
    unsigned give_to_kernel() noexcept {
        if (prepares) [[unlikely]]
            return prepare_and_give();
        return queue.submit(context, answers{completions});
    }
    [[gnu::__cold__, gnu::__noinline__]] unsigned prepare_and_give() noexcept {
        if (queue.eventfd() >= 0) queue.notify();
        return detour ? detour.get()->submit(*this) : queue.submit(context, answers{completions});
    }

    // What io_submit says of requests in a loop without helpers. See request_queue::submit.
    struct answers {
        detail::completions& completions;

        bool refused(operation_core& operation, int error) const noexcept {
            completions.add_outcome(operation, -error);
            return false;
        }
        static void kept(operation_core&) noexcept {}
    };

    std::int64_t now() const noexcept { return context.get_kernel().now(); }
    bool is_past(std::int64_t deadline) const noexcept { return deadline != duration::unlimited && now() >= deadline; }

    bool is_idle() const noexcept {
        return in_flight() + queue.size() + timers.size() + offloads == 0 && !mailbox.has_posts();
    }
    // The loop is held, and can be released while this run waits.
    bool waits_for_holder(goal wanted) const noexcept {
        return holds != 0 && (wanted != nothing_left || !completions.in_handler());
    }

    // Takes events, unless some are still to be handled.
    void gather() noexcept {
        if (!completions.has_events()) add_events(context.reap(completions.room()));
    }
    // The first `count` events in the room of the completions have been taken.
    void add_events(unsigned count) noexcept {
        if (count == 0) return;
        view<io_event> events = completions.room().first(count);
        if (mailbox.waking() || detour) [[unlikely]]
            events = completions_among(events);
        for (const io_event& event : events) operation_core::of(event).check_buffers();
#ifndef NDEBUG
        for (const io_event& event : events)
            if (event.res == -EINVAL) descriptor::explain_refusal(operation_core::of(event).as.request);
#endif
        completions.add(events);
        queue.completed(events);
    }

    // Without the event of a wake, and those of requests that now go to a helper.
    [[gnu::__cold__, gnu::__noinline__]] view<io_event> completions_among(view<io_event> events) noexcept {
        if (mailbox.waking()) events = mailbox.remove_wake(events);
        return detour ? detour.get()->completed(*this, events) : events;
    }

    void expire_timers() noexcept {
        if (timers.empty()) return;
        std::int64_t const time = now();
        while (timers.earliest() <= time && timers.earliest() != duration::unlimited)
            completions.add_outcome(timers.pop(), 0);
    }

    // What calls the handler of an operation that has completed.
    auto completer() noexcept {
        return [this](operation_core& operation, std::int64_t res) {
            if constexpr (is_observed) observer.on_complete();
            operation.complete(operation, slab, io_result(res));
        };
    }

    void end_turn() noexcept {
        if constexpr (requires { observer.on_turn_end(); }) observer.on_turn_end();
    }
    void begin_turn() noexcept {
        if constexpr (requires { observer.on_turn_begin(); }) observer.on_turn_begin();
    }

    // Waits for something to complete, a post, a timer or the deadline. Returns an errno, or 0.
    int wait(std::int64_t deadline, const sigset_t* mask) noexcept {
        if (detour && completions.size() != 0) return 0; // a post of the detour's has brought something
        // If the kernel has refused all there is, the next flush says more.
        if (context.in_flight() == 0 && queue.size() != 0) return 0;
        std::int64_t const until = timers.earliest() < deadline ? timers.earliest() : deadline;
        end_turn();
        auto const count = waiter.wait(context, mailbox, completions.room(), until, mask, observer);
        begin_turn();
        if (!count) return count.error().value();
        if (*count == 0) queue.retry(); // what is in flight may never complete
        add_events(*count);
        return 0;
    }

    // Completes what neither the kernel nor a helper has.
    void cancel_all() noexcept {
        queue.cancel_all(completions);
        if (detour) detour.get()->cancel_all(*this);
        while (!timers.empty()) completions.add_outcome(timers.pop(), -ECANCELED);
    }

    // For the destructor, in a debug build: says on stderr that a run or flush was forgotten. An exception that
    // destroys the loop explains that itself.
    [[gnu::__cold__, gnu::__noinline__]] void report_forgotten() const noexcept {
        std::size_t const count = context.usable() ? queue.size_without_polls() : 0;
        if (count == 0) return;
#if defined(__cpp_exceptions)
        if (std::uncaught_exceptions() != 0) return;
#endif
        std::fprintf(
            stderr,
            "kaio: a loop was destroyed with %zu requests that it had never given to the kernel; they complete "
            "with ECANCELED. Was a run, poll or flush forgotten?\n",
            count);
    }

    // For the destructor.
    void complete_all() {
        constexpr int most_failures = 8; // of waits
        cancel_all();
        if (!completions.has_room()) { // the loop was moved from
            for (; completions.size() != 0; cancel_all()) completions.dispatch_outcomes(completer());
            return;
        }
        for (int failures = 0; failures < most_failures;) {
            cancel_all();
            // A poll that could not be cancelled might never complete. Then the wait is short, and the next round
            // retries.
            bool const polls_end = queue.cancel_polls(context);
            gather();
            std::size_t const before = completions.handled();
            if (completions.dispatch(mailbox, completer()) != before) continue;
            // A post of the detour's has brought something, or something is to be submitted again.
            if (completions.size() + queue.size() != 0) continue;
            if (context.in_flight() + offloads == 0) return;
            // What a helper could not submit comes by a post, and so does what other threads do.
            if ((detour || offloads != 0) && !mailbox.listen(context)) continue;
            duration const limit = polls_end ? duration() : duration::from_ns(1'000'000);
            auto const count = context.wait(completions.room(), 1, mailbox.bounded(limit));
            mailbox.stop_listening(context);
            if (count)
                add_events(*count);
            else if (count.error().value() != EINTR)
                ++failures;
        } // the context's own destructor still waits for the kernel
        for (; offloads != 0; completions.dispatch(mailbox, completer()))
            if (detour) detour.get()->close();
    }
};

} // namespace kaio::detail
