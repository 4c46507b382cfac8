// with_timeout: waits for something, but not longer than so long.
//     std::optional<kaio::io_result> const r =
//         co_await kaio::with_timeout(loop, loop.submit(kaio::poll(socket, POLLIN)), 100ms);
//     if (!r) co_return;                                            // the time has passed
//     bool const set = co_await kaio::with_timeout(loop, event, 1s); // false: the time has passed
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

// `awaitable` is a poll or a timer (loop.submit), a wait for an event, completion, semaphore, mutex, channel, pool or
// group, or one of those with_stop_token. `co_await` of what this returns has the result of awaiting that, as a
// std::optional, which is empty if `limit` (a std::chrono duration or alike) has passed before. If awaiting that
// returns nothing, the result is true, or false after the limit. Nothing is left behind: a poll is cancelled first, a
// wait for a mutex leaves its queue, and what arrives at the last moment is returned and not lost.
//
// What nothing can cancel is a disk request that the kernel has, because it owns its buffer. It is waited for, and its
// result is returned however late. So here with_timeout bounds only how long the request is queued. If the loop is
// being destroyed, polls return ECANCELED, and other waits end as after the time.
//
// Errors: none. Allocates: nothing. System calls: an io_cancel for a poll that is given up. It is an operation in
// flight: destroying the frame meanwhile ends the program with a message.
template <class Loop, class Awaitable>
auto with_timeout(Loop& io_loop, Awaitable&& awaitable, duration limit) noexcept {
    using awaiter = decltype(detail::awaiter_of(std::forward<Awaitable>(awaitable)));
    static_assert(detail::endable<awaiter>, "kaio: with_timeout can't give this up: it takes polls and timers, and "
                                            "waits for an event, completion, semaphore, mutex, channel, pool or group");
    return detail::timed_wait<Loop, awaiter>(io_loop, detail::awaiter_of(std::forward<Awaitable>(awaitable)), limit);
}

} // namespace kaio
