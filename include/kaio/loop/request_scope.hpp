// request_scope: lets an object go before its loop. What the object submits, it submits through its scope, and when the
// scope is destroyed, no handler and no task of the object will run any more.
//     class cache {
//         kaio::aligned_buffer buffer_{4096};
//         kaio::request_scope scope_; // last, so that it goes first; made with the loop
//         void warm() { scope_.submit(kaio::read(file_, buffer_, 0), [this](kaio::io_result r) { use(r); }); }
//     };
// The destructor waits for requests and tasks, and runs the loop meanwhile. It cancels polls and timers. So does
// `close()`, which does not wait. Beyond the loop's own work, a request costs a counter and two pointers. It belongs to
// its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include <kaio/io/duration.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/awaitable.hpp>
#include <kaio/loop/detail/later_exceptions.hpp>
#include <kaio/loop/detail/operation_list.hpp>
#include <kaio/loop/detail/scope_list.hpp>
#include <kaio/loop/detail/scoped_handler.hpp>
#include <kaio/loop/loop.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer.hpp>

namespace kaio::inline KAIO_BUILD {

template <class Scope, class What> class scoped_awaitable;
template <class Scope> class closed_awaitable;

// `Loop` is a basic_loop. Neither copied nor moved, because what is in flight names it.
template <class Loop> class basic_request_scope {
    using core = std::remove_reference_t<decltype(core_of(std::declval<Loop&>()))>;
    template <class What> using bare = std::remove_cv_t<std::remove_reference_t<What>>;

public:
    // REQUIRES: the loop stays where it is, and is destroyed after the scope. An assert checks both.
    explicit basic_request_scope(Loop& io_loop) noexcept : loop_(io_loop) { ++core_of(io_loop).scopes; }
    basic_request_scope(const basic_request_scope&) = delete;
    basic_request_scope& operator=(const basic_request_scope&) = delete;

    // Closes the scope, and runs the loop until all that was submitted through it has completed: with the kernel's
    // results, polls and timers with ECANCELED. Handlers of others run meanwhile. stop() does not end the wait; it ends
    // the run that the destructor may be inside of. What handlers throw leaves the loop's next calls of poll or run,
    // one exception each. In a forked child nothing is waited for and no handler runs.
    //
    // A handler may destroy the scope, also one of the scope's own (`delete this`), which is then not waited for. A
    // handler that has called run or poll, in which the scope is destroyed, goes on when that returns: it must not
    // touch the owner then. A task that the scope waits for can't destroy it, which would never end: let on_closed do
    // it. A handler or task that submits again whatever the result is keeps the destructor from returning.
    ~basic_request_scope() {
        core& all = core_of(loop_);
        if (all.context.usable()) {
            close();
            if (count_ != 0) wait();
        }
        --all.scopes;
    }

    // Submitting --------------------------------------------------------------------------------------------------

    // As the loop's members of these names. Once the scope is closed, what is submitted completes with ECANCELED,
    // inside poll or run, and the kernel is not given it. Allocates: only for handlers of more than 40 bytes (8 for
    // fully, 16 for polls and timers).
    // Errors: those of the loop. Then nothing was submitted, and the handler is untouched, as a buffer that was to be
    // handed over is.
    template <class What, class Handler> [[gnu::__always_inline__]] void submit(What&& what, Handler&& handler) {
        if (!accept(std::forward<What>(what), std::forward<Handler>(handler))) [[unlikely]]
            throw_refusal();
    }
    template <class What, class Handler>
    [[gnu::__always_inline__]] result<void> try_submit(What&& what, Handler&& handler) {
        if (!accept(std::forward<What>(what), std::forward<Handler>(handler))) [[unlikely]]
            return failure(refusal());
        return {};
    }

    // For `co_await`, as the loop's. The coroutine should be a task of this scope, spawn(scope, task): the scope knows
    // the request, and only of a task does it know when it has ended.
    template <class What>
        requires submittable<bare<What>>
    scoped_awaitable<basic_request_scope, bare<What>> submit(What&& what) noexcept {
        return {*this, std::forward<What>(what)};
    }
    scoped_awaitable<basic_request_scope, timer> sleep_for(duration delay) noexcept { return {*this, after(delay)}; }

    // As the loop's, with kaio/loop/offload.hpp. Closing the scope does not keep the function from running. A coroutine
    // is to be a task of this scope, which then waits for the task.
    template <class Function, class Handler> void offload(Function&& function, Handler&& handler) {
        try_offload(std::forward<Function>(function), std::forward<Handler>(handler)).value("kaio: scope.offload");
    }
    template <class Function, class Handler> result<void> try_offload(Function&& function, Handler&& handler) {
        using counted = detail::counted_handler<basic_request_scope, std::decay_t<Handler>>;
        using parts = detail::scoped_parts<counted, basic_request_scope, Handler>;
        result<void> const offloaded =
            loop_.try_offload(std::forward<Function>(function), parts{this, nullptr, std::forward<Handler>(handler)});
        if (offloaded) ++count_;
        return offloaded;
    }
    template <class Function> auto offload(Function&& function) {
        return loop_.offload(std::forward<Function>(function));
    }

    // For work that is no request and will end in a post, of a helper's thread for example: until as many calls of
    // release, inside a handler or a posted function, the scope is not empty and the loop is held.
    void hold() noexcept {
        loop_.hold();
        ++count_;
    }
    void release() noexcept {
        loop_.release();
        completed();
    }

    // Closing -----------------------------------------------------------------------------------------------------

    // Cancels the polls and timers, and has all that is submitted from now on complete with ECANCELED. Calls no
    // handler.
    // System calls: one io_cancel for each poll in flight.
    void close() noexcept {
        if (is_closed()) return;
        count_ -= open;
        polls_end_ = cancel_listed();
        if (count_ == 0) tell_waiters();
    }

    // Calls `handler()` once, inside poll or run or the scope's destructor, when the scope is closed and all that was
    // submitted through it has completed. It may destroy the scope. Only a handler of the scope that runs the loop
    // itself may still be on the stack then. The loop's run does not wait for it.
    // Errors: throws std::system_error (ENOMEM), and the handler is untouched. Allocates: only for a handler of more than
    // 40 bytes.
    template <class Handler> void on_closed(Handler&& handler) {
        if (!add_waiter(std::forward<Handler>(handler))) [[unlikely]]
            throw_refusal();
    }
    template <class Handler> result<void> try_on_closed(Handler&& handler) {
        if (!add_waiter(std::forward<Handler>(handler))) [[unlikely]]
            return failure(refusal());
        return {};
    }

    // `co_await scope.closed()` resumes when the scope is closed and empty. Not for a task of this scope, which is what
    // keeps it from being empty.
    closed_awaitable<basic_request_scope> closed() noexcept { return closed_awaitable<basic_request_scope>(*this); }

    // State -------------------------------------------------------------------------------------------------------

    // True once close() was called: nothing is accepted any more.
    bool is_closed() const noexcept { return (count_ & open) == 0; }

    // What was submitted through it and has not completed, tasks and holds included.
    std::size_t pending() const noexcept { return count_ & ~open; }

    // The loop that it submits to.
    Loop& loop() const noexcept { return loop_; }

private:
    template <class, class> friend struct detail::counted_handler;
    template <class, class> friend class detail::listed_handler;
    template <class, class> friend struct detail::closed_handler;
    template <class, class> friend class scoped_awaitable;
    template <class> friend class closed_awaitable;

    // What count_ has on top while the scope is open: its highest bit. So it becomes 0 only in a scope that is closed
    // and empty. Both are seen in the processor's flags after an addition.
    static constexpr std::size_t open = ~(static_cast<std::size_t>(-1) >> 1);

    template <class What, class Handler> [[gnu::__always_inline__]] bool accept(What&& what, Handler&& handler) {
        static_assert(!std::is_base_of_v<operation, std::decay_t<Handler>>,
                      "kaio: submit an operation that the caller keeps to the loop: a scope can't tell when it has "
                      "completed");
        if constexpr (std::is_same_v<bare<What>, timer>) {
            return accept_listed(what, std::forward<Handler>(handler));
        } else {
            if constexpr (std::is_same_v<bare<What>, request>)
                if (is_poll(what)) // a copy, so that the address of `what` is taken on no other path
                    return accept_listed(request(what), std::forward<Handler>(handler));
            return accept_as<detail::counted_handler>(std::forward<What>(what), std::forward<Handler>(handler));
        }
    }
    template <class What, class Handler> [[gnu::__noinline__]] bool accept_listed(const What& what, Handler&& handler) {
        return accept_as<detail::listed_handler>(what, std::forward<Handler>(handler));
    }
    template <template <class, class> class Scoped, class What, class Handler>
    [[gnu::__always_inline__]] bool accept_as(What&& what, Handler&& handler) {
        using stored = Scoped<basic_request_scope, std::decay_t<Handler>>;
        using parts = detail::scoped_parts<stored, basic_request_scope, Handler>;
        core& all = core_of(loop_);
        detail::operation_core* const operation = all.slab.first_free();
        if (!all.submit(std::forward<What>(what), parts{this, operation, std::forward<Handler>(handler)})) [[unlikely]]
            return false;
        submitted(all, *operation);
        return true; // not after a slow path, so that the fast path has nothing to keep for here
    }
    static bool is_poll(const request& request) noexcept {
        return request.block().aio_lio_opcode == static_cast<std::uint16_t>(opcode::poll);
    }

    // A request was submitted to the loop.
    [[gnu::__always_inline__]] void submitted(core& all, detail::operation_core& operation) noexcept {
        ++count_;
        if (is_closed()) [[unlikely]]
            return submitted_late(operation);
        all.slab.grow_if_exhausted();
    }
    [[gnu::__cold__, gnu::__noinline__]] void submitted_late(detail::operation_core& operation) noexcept {
        (void)core_of(loop_).cancel(operation); // the kernel does not have it yet
        core_of(loop_).slab.grow_if_exhausted();
    }

    // Something has completed, and its handler is about to be called.
    void completed() noexcept {
        if (--count_ == 0) [[unlikely]]
            tell_waiters();
    }

    // For a poll or a timer.
    void list(detail::scope_entry& entry) noexcept { listed_.push(entry); }

    // Closed, and all has completed: those that wait for that get their turn, and the scope counts them.
    [[gnu::__cold__, gnu::__noinline__]] void tell_waiters() noexcept {
        while (!waiters_.empty()) finish(waiters_.pop());
    }
    void finish(detail::operation_core& waiter) noexcept {
        ++count_;
        core_of(loop_).finish(waiter, 0);
    }
    void wait_for_close(detail::operation_core& waiter) noexcept {
        if (count_ == 0)
            finish(waiter);
        else
            waiters_.push(waiter);
    }
    template <class Handler> bool add_waiter(Handler&& handler) {
        using stored = std::decay_t<Handler>;
        static_assert(std::is_invocable_v<stored&>, "kaio: on_closed needs something callable with no argument");
        using told = detail::closed_handler<basic_request_scope, stored>;
        auto& slab = core_of(loop_).slab;
        auto const waiter = slab.template acquire<told>(this, std::forward<Handler>(handler));
        if (!waiter.operation) return false;
        slab.grow_if_exhausted();
        wait_for_close(*waiter.operation);
        return true;
    }

    // Returns false if one could not be cancelled. It may have completed already.
    bool cancel_listed() noexcept {
        bool all = true;
        listed_.for_each([&](detail::operation_core& each) { all = core_of(loop_).cancel(each) && all; });
        return all;
    }

    // Runs the loop until the scope, which is closed, is empty.
    [[gnu::__cold__, gnu::__noinline__]] void wait() noexcept {
        constexpr int most_failures = 8;
        constexpr std::int64_t millisecond = 1'000'000;
        core& all = core_of(loop_);
        detail::later_exceptions<core> later(all);
        int failures = 0;
        while (count_ != 0)
            later.guard([&] {
                // A poll that could not be cancelled might never complete. Then the wait is short, and is followed by
                // another try.
                std::int64_t const limit = polls_end_ ? duration::unlimited : all.deadline_in(millisecond);
                auto const turn = all.run_until(core::one_turn, limit, nullptr);
                bool const stuck = !turn || (*turn == 0 && polls_end_);
                failures = stuck ? failures + 1 : 0;
                if (failures == most_failures) cant_wait(turn ? 0 : turn.error().value());
                if (!polls_end_) polls_end_ = cancel_listed();
            });
    }
    // In every build: handlers that name what is gone would run.
    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void cant_wait(int error) noexcept {
        std::fprintf(stderr,
                     "kaio: a request_scope can't be destroyed: its loop does not complete what was submitted through "
                     "it (errno %d)\n",
                     error);
        std::abort();
    }

    int refusal() const noexcept { return loop_.capacity() == 0 ? EINVAL : ENOMEM; }
    [[noreturn, gnu::__cold__, gnu::__noinline__]] void throw_refusal() const {
        detail::throw_error(refusal(),
                            "kaio: request_scope: no memory for one more operation, or the loop was moved from");
    }

    Loop& loop_;
    std::size_t count_ = open;         // what has not completed, and `open` until it is closed
    detail::scope_list listed_{};      // polls and timers that have not completed
    detail::operation_list waiters_{}; // for on_closed and closed
    bool polls_end_ = true;            // false: a poll could not be cancelled
};
template <class Loop> basic_request_scope(Loop&) -> basic_request_scope<Loop>;

using request_scope = basic_request_scope<loop>; // of a kaio::loop

// Made by basic_request_scope::submit. As an awaitable of the loop, whose rules it has.
template <class Scope, class What>
class [[nodiscard("kaio: nothing is submitted until it is awaited: co_await scope.submit(...)")]] //
scoped_awaitable final {
    using core = std::remove_reference_t<decltype(core_of(std::declval<Scope&>().loop()))>;

public:
    // A request, a transfer or a timer, or what owns its buffer.
    using submits = What;

    // Made by basic_request_scope::submit. It may be moved until it is awaited.
    template <class Submitted>
    scoped_awaitable(Scope& scope, Submitted&& what) noexcept
        : scope_(scope), request_(core_of(scope.loop()), std::forward<Submitted>(what)), listed_(may_wait(what)) {}
    scoped_awaitable(scoped_awaitable&& other) noexcept
        : scope_(other.scope_), request_(std::move(other.request_)), listed_(other.listed_) {}
    scoped_awaitable(const scoped_awaitable&) = delete;
    scoped_awaitable& operator=(const scoped_awaitable&) = delete;

    // For `co_await`: the request is submitted when the coroutine has been suspended.
    static constexpr bool await_ready() noexcept { return false; }
    template <class Coroutine> void await_suspend(Coroutine frame) noexcept {
        request_.await_suspend(frame);
        if (listed_) {
            entry_.operation = &core_of(request_);
            scope_.list(entry_);
        }
        scope_.submitted(core_of(scope_.loop_), core_of(request_));
    }

    // Returns what an awaitable of the loop returns.
    [[nodiscard("kaio: the result says whether it failed, and how many bytes were transferred")]] auto
    await_resume() noexcept
        requires(!std::is_same_v<What, timer>)
    {
        completed();
        return request_.await_resume();
    }
    // Of a timer: it may be dropped.
    io_result await_resume() noexcept
        requires std::is_same_v<What, timer>
    {
        completed();
        return request_.await_resume();
    }

    // For kaio's own headers: as an awaitable's.
    What unsubmitted() && { return std::move(request_).unsubmitted(); }
    template <class Handler> bool submit(What& what, Handler&& handler) {
        return scope_.accept(std::move(what), std::forward<Handler>(handler));
    }
    core& loop() const noexcept { return request_.loop(); }
    void dismiss() noexcept { request_.dismiss(); }
    friend detail::operation_core& core_of(scoped_awaitable& awaited) noexcept { return core_of(awaited.request_); }

private:
    static bool may_wait([[maybe_unused]] const What& what) noexcept {
        if constexpr (std::is_same_v<What, request>)
            return Scope::is_poll(what);
        else
            return std::is_same_v<What, timer>;
    }
    void completed() noexcept {
        entry_.unlink();
        scope_.completed();
    }

    Scope& scope_;
    awaitable<core, What> request_;
    detail::scope_entry entry_{}; // if it is a poll or a timer
    bool listed_;
};

// Made by basic_request_scope::closed.
template <class Scope>
class [[nodiscard("kaio: it waits only when it is awaited: co_await scope.closed()")]] closed_awaitable final
    : public operation {
public:
    // Made by basic_request_scope::closed.
    explicit closed_awaitable(Scope& scope) noexcept : operation(nullptr), scope_(scope) {}
    // REQUIRES: `other` has not been awaited
    closed_awaitable(closed_awaitable&& other) noexcept : operation(nullptr), scope_(other.scope_) {}
    closed_awaitable(const closed_awaitable&) = delete;
    closed_awaitable& operator=(const closed_awaitable&) = delete;
    ~closed_awaitable() {
        if (frame_) [[unlikely]]
            destroyed_while_busy();
    }

    // For `co_await`, which returns nothing.
    static constexpr bool await_ready() noexcept { return false; }
    template <class Coroutine> void await_suspend(Coroutine frame) noexcept {
        core_of(*this).complete = &complete<Coroutine>;
        frame_ = frame.address();
        core_of(scope_.loop()).make_busy(core_of(*this));
        scope_.wait_for_close(core_of(*this));
    }
    void await_resume() noexcept { frame_ = nullptr; }

private:
    template <class Coroutine> static void complete(detail::operation_core& core, detail::operation_slab&, io_result) {
        auto& self = static_cast<closed_awaitable&>(of(core));
        self.scope_.completed();
        Coroutine::from_address(self.frame_).resume();
    }

    Scope& scope_;
    void* frame_ = nullptr; // of the coroutine that awaits it, while it does
};

} // namespace kaio
