// with_timeout: waits for something, but not longer than so long.
//     std::optional<kaio::io_result> const r =
//         co_await kaio::with_timeout(loop, loop.submit(kaio::poll(socket, POLLIN)), 100ms);
//     if (!r) co_return;                                            // the time has passed
//     bool const set = co_await kaio::with_timeout(loop, event, 1s); // false: the time has passed
//     auto read = co_await kaio::with_timeout(loop, loop.submit(kaio::read(file, std::move(buffer), 0)), 1s);
//     if (read.in_flight()) co_return;                              // the time has passed, and the loop has the buffer
// It belongs to the loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <utility>

#include <kaio/coro/detail/early_end.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer.hpp>

namespace kaio::inline KAIO_BUILD {

namespace detail {

template <class Loop, class Awaiter>
class [[nodiscard("kaio: nothing waits until it is awaited: co_await with_timeout(...)")]] timed_wait final
    : public early_end<timed_wait<Loop, Awaiter>, Loop, Awaiter> {
    using base = early_end<timed_wait, Loop, Awaiter>;

public:
    timed_wait(Loop& loop, Awaiter&& awaited, duration limit) noexcept
        : base(loop, std::move(awaited)), limit_(limit) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    timed_wait(timed_wait&& other) noexcept : base(std::move(other)), limit_(other.limit_) {}

private:
    friend base;

    struct expiry {
        timed_wait* wait;
        void operator()(io_result r) const {
            wait->timing_ = false;
            wait->reason_came(static_cast<bool>(r));
        }
    };

    void watch() noexcept {
        timing_ = true;
        this->loop().submit(after(limit_), timer_);
    }
    void unwatch() noexcept {
        if (timing_) (void)this->loop().cancel(timer_); // if that fails, it has just expired
    }
    bool watches_nothing() const noexcept { return !timing_; }

    duration limit_;
    owned_operation<expiry> timer_{expiry{this}};
    bool timing_ = false;
};

} // namespace detail

// `awaitable` is a poll, a timer or a request (loop.submit, or a request_scope's), a wait for an event, completion,
// semaphore, mutex, channel, pool or group, or one of those with_stop_token. `co_await` of what this returns has the
// result of awaiting that, as a std::optional, which is empty if `limit` (a std::chrono duration or alike) has passed
// before. If awaiting that returns nothing, the result is true, or false after the limit. Nothing is left behind: a
// poll is cancelled first, a wait for a mutex leaves its queue, and what arrives at the last moment is returned and not
// lost.
//
// Nothing can cancel a disk request that the kernel has: the kernel uses its buffer. What happens at the limit depends
// on who owns that:
//   - A request that owns its buffer, kaio::read(file, std::move(buffer), 0), also within fully(): the wait ends. The
//     request goes on, and the loop keeps the buffer until it has completed. The result is a completed_or_in_flight,
//     which says so. A request that was still queued is not given to the kernel: it completes with ECANCELED, and the
//     buffer comes back.
//   - One that borrows its buffer: it is waited for, and its result is returned however late, because the buffer may be
//     gone after the wait. with_timeout bounds only how long the request is queued. A fully() that borrows its buffer
//     does not compile.
// If the loop is being destroyed, polls return ECANCELED, and other waits end as after the time.
//
// Errors: ENOMEM and EINVAL of loop.submit as the result of a request that owns its buffer. Allocates: nothing; for a
// request that owns its buffer as loop.submit, whose handler would have the buffer and a pointer. System calls: an
// io_cancel for a poll or a borrowed request that is given up. Until it has returned, destroying the coroutine's frame
// ends the program with a message.
template <class Loop, class Awaitable>
auto with_timeout(Loop& io_loop, Awaitable&& awaitable, duration limit) noexcept {
    return detail::end_early<detail::timed_wait>(io_loop, std::forward<Awaitable>(awaitable), limit);
}

// The same for a request that owns its buffer, when what it does late matters: if the wait was given up,
// `late(result, buffer)` is called when the request has completed, as a handler is. Else it is not called.
template <class Loop, class Awaitable, class Late>
auto with_timeout(Loop& io_loop, Awaitable&& awaitable, duration limit, Late late) noexcept {
    return detail::end_early<detail::timed_wait>(io_loop, std::forward<Awaitable>(awaitable), limit, std::move(late));
}

} // namespace kaio
