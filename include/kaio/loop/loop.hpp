// basic_loop: many requests in flight, each with its handler or the coroutine that awaits it.
//     kaio::loop loop(128);
//     loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result result) { use(result); });
//     loop.run(); // returns when nothing is in flight
// Submitted requests are gathered and given to the kernel in one batch. Handlers run and coroutines resume inside poll
// and run, on the caller's stack. What requests and handlers refer to must outlive them: declare it before the loop, or
// submit through a request_scope.
//
// A loop belongs to one thread, which need not be the one that made it. Only that thread may call it, but `post` is for
// any thread. A debug build ends the program if a thread calls a loop while another one is inside poll or run. Calls in
// turn may be a loop that was handed over, so it lets them pass. ThreadSanitizer reports those that no join or lock
// orders.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <signal.h>

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/awaitable.hpp>
#include <kaio/loop/detail/loop_core.hpp>
#include <kaio/loop/observer.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer.hpp>
#include <kaio/loop/transfer.hpp>
#include <kaio/sys/helper_team.hpp>

namespace kaio::inline KAIO_BUILD {

template <class Core, class Function> class offload_awaitable; // kaio/loop/offload.hpp has these
namespace detail {
template <class Core, class Function, class Handler> class handled_offload;
} // namespace detail
template <class Function> class owned_post;      // kaio/loop/owned_post.hpp has it
template <class Handler> class posted_operation; // kaio/loop/posted_request.hpp has these
template <class Core, class Home, class What> class posted_awaitable;

// How a loop waits, and how its context is made.
struct loop_options {
    // How long, at most, to spin before sleeping in the kernel: to look busily at the empty ring. That costs CPU, and
    // saves the time of falling asleep and waking up. Within this bound the loop finds out by itself how much pays.
    // duration::zero(): sleep at once. duration(): never sleep, and with a trusted ring never make a system call to
    // wait (without one, each look is an io_getevents).
    duration spin_limit = duration::from_ns(100'000);
    context_options setup = {}; // of its context
};

// What can be submitted to a loop: a request, fully(request), or a timer (`after(100ms)`). One that owns its buffer
// (kaio/io/owning.hpp) is submitted as an rvalue.
template <class What>
concept submittable = std::is_same_v<What, request> || std::is_same_v<What, whole_transfer> ||
                      std::is_same_v<What, timer> || detail::is_owning<What>;

template <kernel Kernel = linux_kernel, class Observer = no_observer> class basic_loop {
    using core = detail::loop_core<Kernel, Observer>;
    template <class Handler> static constexpr bool is_operation = std::is_base_of_v<operation, std::decay_t<Handler>>;

public:
    // Making and destroying ---------------------------------------------------------------------------------------

    // Room for `capacity` requests in flight, 1 or more. What is submitted beyond that waits in the loop, first in,
    // first out. The context has room for one event more, which is post's.
    // Errors: throws std::system_error as basic_context does, or ENOMEM. Allocates: for `capacity` requests, so that
    // the steady state allocates nothing.
    explicit basic_loop(unsigned capacity, loop_options options = {}, Kernel kernel = {})
        : basic_loop(unwrap(try_make(capacity, options, std::move(kernel)), capacity)) {}

    // The same with helpers (kaio::helpers in kaio/loop/helpers.hpp), for requests that would block the thread: buffered
    // reads and writes, writes that extend a file, whatever the file system can't start at once. The loop's thread then
    // never waits for a disk inside a call. Several loops may share the helpers, which must outlive them.
    // Errors: also EMFILE and ENFILE (it opens a descriptor), and EINVAL for helpers of the process that forked this.
    basic_loop(unsigned capacity, helper_team& helpers, loop_options options = {}, Kernel kernel = {})
        : basic_loop(unwrap(try_make(capacity, helpers, options, std::move(kernel)), capacity)) {}

    // The same without exceptions. As for basic_context::try_make, the error's message() names cause and remedy.
    static result<basic_loop> try_make(unsigned capacity, loop_options options = {}, Kernel kernel = {}) noexcept {
        auto made = core::try_make(capacity, options.setup, options.spin_limit, std::move(kernel));
        if (!made) return failure(made.error());
        return basic_loop(std::move(*made));
    }
    static result<basic_loop> try_make(unsigned capacity, helper_team& helpers, loop_options options = {},
                                       Kernel kernel = {}) noexcept {
        auto made = core::try_make(capacity, options.setup, options.spin_limit, std::move(kernel), helpers);
        if (!made) return failure(made.error());
        return basic_loop(std::move(*made));
    }
    static const std::error_category& error_category() noexcept { return basic_context<Kernel>::error_category(); }

    // For passing a new loop on. A loop that was moved from returns EINVAL for everything. An operation that is
    // submitted to it completes with ECANCELED when it is destroyed. REQUIRES: all that was submitted has completed,
    // and no other thread posts.
    basic_loop(basic_loop&&) noexcept = default;
    basic_loop& operator=(basic_loop&&) = delete;
    basic_loop(const basic_loop&) = delete;
    basic_loop& operator=(const basic_loop&) = delete;

    // Completes everything. Polls are cancelled. What is in flight is waited for, and its handlers run with their
    // results. What the kernel has not been given, and what handlers submit now, completes with ECANCELED. Functions
    // that were posted are called. A handler that throws here ends the program. In a forked child nothing is waited for
    // and no handler runs: the requests, and what their handlers own, are the parent's.
    // A handler can't destroy its own loop: when it returns, the program ends with a message.
    ~basic_loop() = default;

    // Submitting --------------------------------------------------------------------------------------------------

    // The request goes to the kernel at the next flush, poll or run. `handler(io_result)`, for fully()
    // `handler(transfer_result)`, is called exactly once, inside poll or run (or the destructor), with the kernel's
    // result or the error that io_submit returned for it. If the request owns its buffer, the buffer is the handler's
    // second argument. A handler may submit, poll, run and throw. What it throws leaves poll or run, and the loop stays
    // usable. System calls: none. Allocates: only if the handler, with the buffer, has more than 48 bytes (16 for
    // fully).
    // Errors: throws std::system_error (ENOMEM; EINVAL if the loop was moved from), and then nothing was submitted.
    // (Why it must be inlined, with what it calls: docs/decisions/inlining.md.)
    template <class What, class Handler>
        requires(submittable<std::remove_cvref_t<What>> && !is_operation<Handler>)
    [[gnu::__always_inline__]] void submit(What&& what, Handler&& handler) {
        if (!core_.submit(std::forward<What>(what), std::forward<Handler>(handler))) [[unlikely]]
            throw_refusal();
        core_.slab.grow_if_exhausted(); // last, so that the fast path has nothing to keep for afterwards
    }

    // The same without exceptions: ENOMEM or EINVAL, and then the handler and the buffer are untouched.
    template <class What, class Handler>
        requires(submittable<std::remove_cvref_t<What>> && !is_operation<Handler>)
    [[gnu::__always_inline__]] result<void> try_submit(What&& what, Handler&& handler) {
        if (!core_.submit(std::forward<What>(what), std::forward<Handler>(handler))) [[unlikely]]
            return failure(refusal());
        core_.slab.grow_if_exhausted();
        return {};
    }

    // The same with an operation that the caller keeps until it has completed. Never fails and never allocates.
    void submit(const request& request, operation& operation) noexcept { core_.submit(request, core_of(operation)); }
    void submit(timer timer, operation& operation) noexcept { core_.submit(timer, core_of(operation)); }
    // For fully(): the operation's handler takes a transfer_result.
    template <class Handler> void submit(const whole_transfer& transfer, owned_operation<Handler>& operation) noexcept {
        core_.submit(transfer, operation);
    }

    // For `co_await`: submits when it is awaited, and returns the io_result (for fully(), the transfer_result). If the
    // request owns its buffer, it returns a std::pair of that result and the buffer. Never fails and never allocates.
    // The coroutine resumes where a handler would be called.
    template <class What>
        requires submittable<std::remove_cvref_t<What>>
    awaitable<core, std::remove_cvref_t<What>> submit(What&& what) noexcept {
        return {core_, std::forward<What>(what)};
    }

    // `co_await loop.sleep_for(100ms)` is `co_await loop.submit(after(100ms))`.
    awaitable<core, timer> sleep_for(duration delay) noexcept { return {core_, after(delay)}; }

    // Runs `function()` on a helper, for what Linux has no asynchronous call for. kaio/loop/offload.hpp has this, and
    // says more. `handler(offload_result)` is called exactly once, inside poll or run (or the destructor), with what the
    // function returned or threw. Both are destroyed by the loop's thread. Allocates: once.
    // Errors: throws std::system_error (ENOMEM; EINVAL in a forked child, or the loop was moved from), and then nothing
    // runs.
    template <class Function, class Handler> void offload(Function&& function, Handler&& handler) {
        try_offload(std::forward<Function>(function), std::forward<Handler>(handler)).value("kaio: loop.offload");
    }
    template <class Function, class Handler> result<void> try_offload(Function&& function, Handler&& handler) {
        using offloading = detail::handled_offload<core, std::decay_t<Function>, detail::stored_handler<Handler>>;
        int const error = offloading::submit(core_, std::forward<Function>(function), std::forward<Handler>(handler));
        if (error != 0) return failure(error);
        return {};
    }

    // For `co_await`: returns what the function returns, or throws what it throws. Allocates: nothing.
    template <class Function> offload_awaitable<core, std::decay_t<Function>> offload(Function&& function) {
        return {core_, std::forward<Function>(function)};
    }

    // Asks for an operation to complete early. It still completes exactly once: with ECANCELED if it is a timer, or if
    // the kernel has not been given it; and soon with ECANCELED if it is a poll in flight. It looks through what waits.
    // Errors: EINVAL for an operation that has completed, and for a disk request in flight, which nothing can cancel:
    // it stays in flight, and keeps its buffer. System calls: one io_cancel if it is in flight.
    result<void> cancel(operation& operation) noexcept { return core_.cancel(core_of(operation)); }

    // Hands all that was submitted, and that has room, to the kernel. Calls no handler: a request that io_submit
    // refuses completes at the next poll. If the kernel has no room (EAGAIN), the rest is kept, and retried when
    // something has completed. Returns the number accepted. System calls: one io_submit, however many requests; none if
    // there are none; one more for each request that is refused.
    unsigned flush() noexcept { return core_.flush(); }

    // Running -----------------------------------------------------------------------------------------------------

    // Flushes, then calls the handlers of what has completed and what was posted. It never waits. Returns how many were
    // called, those in polls that handlers made included. System calls: the flush's. Without a trusted ring, one
    // io_getevents if something is in flight.
    // Errors: throws what a handler throws, and std::system_error (EINVAL) in a forked child or if it was moved from.
    std::size_t poll() { return try_poll().value(unusable); }
    result<std::size_t> try_poll() { return core_.poll(); }

    // Runs until nothing is in flight, queued, timed, held, offloaded or elsewhere (posted_request.hpp), and returns how
    // many handlers were called. While there is nothing to do it spins (loop_options::spin_limit), then sleeps in one
    // io_getevents. Signals do not end it. Inside a handler or a coroutine it does not wait for what is held: that may be
    // released only when the handler or coroutine has ended. Errors: those of poll and io_getevents.
    std::size_t run() { return try_run().value(unusable); }
    result<std::size_t> try_run() { return core_.run_until(core::nothing_left, duration::unlimited, nullptr); }

    // The same until one handler was called: returns 1, or 0 if there is nothing to wait for, or after stop(). Inside a
    // handler it waits for what is held, too. Completions, timers and posts take turns.
    // It flushes only when it has no event at hand. So what is submitted between its calls for events that came together
    // goes to the kernel together.
    // `mask` is the signal mask while it sleeps (one io_pgetevents, 4.18). A signal that arrives then ends it with 0.
    // Errors: ENOSYS where the kernel or a seccomp filter has no io_pgetevents. There let the signal's handler write to
    // an eventfd, and poll that (a signalfd does not do, see poll() in io/request.hpp). A loop that is never idle lets
    // no signal in.
    std::size_t run_one(const sigset_t* mask = nullptr) { return try_run_one(mask).value(unusable); }
    result<std::size_t> try_run_one(const sigset_t* mask = nullptr) {
        return core_.run_until(core::one_handler, duration::unlimited, mask);
    }

    // As run, until `limit` (a std::chrono duration or alike) has passed. That ends the wait and no request.
    std::size_t run_for(duration limit) { return try_run_for(limit).value(unusable); }
    result<std::size_t> try_run_for(duration limit) {
        return core_.run_until(core::nothing_left, core_.deadline_in(limit.ns()), nullptr);
    }

    // Makes run, run_one or run_for return once the handlers of what has completed are done: the one that is running,
    // or else the next. From another thread: `loop.post([&] { loop.stop(); })`.
    void stop() noexcept {
        core_.assert_thread();
        core_.stopped = true;
    }

    // While the loop is held, run does not return for lack of work: it waits for what may be posted. As many releases
    // as holds end that.
    void hold() noexcept {
        core_.assert_thread();
        ++core_.holds;
    }
    void release() noexcept {
        core_.assert_thread();
        assert(core_.holds != 0 && "kaio: a loop was released more often than it was held");
        --core_.holds;
    }

    // Any thread, as long as the loop is not being destroyed. Has `function()` called by the loop's thread, inside poll
    // or run (or the destructor), in the order of posting. What it throws leaves poll or run. A run that is to wait for
    // posts, and not only for requests, needs hold(). Not from a signal handler, because it allocates.
    // Allocates: once. System calls: one to wake the loop if it sleeps, else none. The first post of a loop opens a
    // descriptor.
    // Errors: EINVAL (in a forked child, or the loop was moved from), ENOMEM, EMFILE and ENFILE: nothing was posted. An
    // error of io_submit means that the loop could not be woken: the function runs when it next wakes, by itself or for
    // a post.
    template <class Function> void post(Function&& function) {
        try_post(std::forward<Function>(function)).value("kaio: loop.post");
    }
    template <class Function> result<void> try_post(Function&& function) {
        static_assert(std::is_invocable_v<std::decay_t<Function>&>,
                      "kaio: what is posted must be callable with no argument");
        return core_.mailbox.post(core_.context, std::forward<Function>(function));
    }

    // The same with a function that the caller keeps until it is called. Never allocates.
    // Errors: those of post but ENOMEM, and EBUSY: it is on its way already. It is called once then, and sees what was
    // done before this post, too.
    template <class Function> void post(owned_post<Function>& function) { try_post(function).value("kaio: loop.post"); }
    template <class Function> result<void> try_post(owned_post<Function>& function) noexcept {
        return function.post_to(core_);
    }

    // Any thread, too: has the loop's thread submit a request, or a transfer. kaio/loop/posted_request.hpp has this, and
    // says more. The operation's handler is called once: by this loop's thread, or by that of `home`, the loop of the
    // thread that posts. The run of `home` waits for it. Never allocates.
    // Errors: as for an owned_post, of `home` too. EBUSY: the operation has not completed.
    template <class What, class Handler> void post(const What& what, posted_operation<Handler>& operation) {
        try_post(what, operation).value("kaio: loop.post");
    }
    template <class What, class Handler>
    result<void> try_post(const What& what, posted_operation<Handler>& operation) noexcept {
        return operation.post_to(core_, what);
    }
    template <class What, class Handler, class OtherKernel, class OtherObserver>
    void post(const What& what, posted_operation<Handler>& operation, basic_loop<OtherKernel, OtherObserver>& home) {
        try_post(what, operation, home).value("kaio: loop.post");
    }
    template <class What, class Handler, class OtherKernel, class OtherObserver>
    result<void> try_post(const What& what, posted_operation<Handler>& operation,
                          basic_loop<OtherKernel, OtherObserver>& home) noexcept {
        return operation.post_to(core_, what, core_of(home));
    }

    // For `co_await` in a coroutine of the loop `home`: what submit would await here resumes there.
    template <class What, class OtherKernel, class OtherObserver>
        requires submittable<std::remove_cvref_t<What>>
    auto post(What&& what, basic_loop<OtherKernel, OtherObserver>& home) {
        return posted_awaitable<core, detail::loop_core<OtherKernel, OtherObserver>, std::remove_cvref_t<What>>(
            core_, core_of(home), std::forward<What>(what));
    }

    // Calls `function()` as handlers are called. For starting coroutines, which run on from there as handlers do.
    template <class Function> void inside(Function&& function) {
        core_.completions.inside(std::forward<Function>(function));
    }

    // State -------------------------------------------------------------------------------------------------------

    // Requests that the kernel was given (or has refused) and whose handlers have not been called yet.
    std::size_t in_flight() const noexcept { return core_.in_flight(); }

    // Requests that were submitted and not yet given to the kernel.
    std::size_t queued() const noexcept { return core_.queue.size(); }

    // Offloaded functions, and requests posted to other loops, that have not come back.
    std::size_t offloads() const noexcept { return core_.offloads; }

    // Timers that have not expired.
    std::size_t timers() const noexcept { return core_.timers.size(); }

    // Requests that can be in flight at once: what was asked for, or what context_options::at_least made do with.
    unsigned capacity() const noexcept { return core_.capacity; }

    // True if the next poll would call a handler for what has completed. Timers that are due are not seen. It takes
    // about a nanosecond. System calls: none; without a trusted ring as basic_context::has_completions.
    bool has_completions() const noexcept { return core_.has_completions(); }

    // False if events are taken by io_getevents, by choice or because the ring can't be trusted.
    bool uses_ring() const noexcept { return core_.context.uses_ring(); }

    // False in a forked child, and for a loop that was moved from.
    bool usable() const noexcept { return core_.context.usable(); }

    // What is told of each submission, batch, wait and completion: kaio/loop/observer.hpp.
    Observer& observer() noexcept { return core_.observer; }

    // For kaio's own headers: a loop as its machinery sees it.
    friend core& core_of(basic_loop& io_loop) noexcept { return io_loop.core_; }

    // For something else that waits in the loop's place, as kaio::notifier does ------------------------------------

    // From now on each completion, and each post while the loop is prepared to wait, adds 1 to `eventfd`. Returns false
    // if another one is attached. It must be attached before anything is submitted and before other threads post.
    bool attach(int eventfd) noexcept { return core_.attach(eventfd); }
    // Ends that, if it is this one that is attached.
    void detach(int eventfd) noexcept { core_.detach(eventfd); }

    // `ready`: poll at once. `deadline`: poll then at the latest, in CLOCK_MONOTONIC's nanoseconds.
    using prepared = detail::prepared_wait;
    // Flushes, and has posts add 1 to the eventfd from here on. System calls: flush's. REQUIRES: usable()
    prepared prepare_to_wait() noexcept { return core_.prepare_to_wait(); }
    // After a wait, before poll. It may be called at any time.
    void woken() noexcept { core_.mailbox.stop_listening(core_.context); }

private:
    static constexpr const char* unusable =
        "kaio: loop: the kernel returned an error for the whole context; EINVAL means that the loop was moved from, or "
        "that it belongs to the process that forked this one: make a new loop in the child";

    explicit basic_loop(core made) noexcept : core_(std::move(made)) {}
    static basic_loop unwrap(result<basic_loop> made, unsigned asked) {
        if (!made) detail::throw_error(made.error().value(), setup_error_text(made.error().value(), asked));
        return std::move(*made);
    }
    int refusal() const noexcept { return capacity() == 0 ? EINVAL : ENOMEM; }
    [[noreturn, gnu::__cold__, gnu::__noinline__]] void throw_refusal() const {
        detail::throw_error(refusal(),
                            "kaio: loop.submit: no memory for one more operation, or the loop was moved from");
    }

    core core_; // all that the loop is made of
};

using loop = basic_loop<>; // on Linux, observed by nobody

} // namespace kaio
