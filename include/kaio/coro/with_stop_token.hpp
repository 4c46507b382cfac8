// with_stop_token: waits for something, until somebody requests a stop.
//     std::optional<kaio::io_result> const r =
//         co_await kaio::with_stop_token(loop, loop.submit(kaio::poll(listener, POLLIN)), token);
//     if (!r) co_return; // stopped
// It belongs to the loop's thread, but any thread may request the stop. Where the C++ library has no std::stop_token
// (libc++ before version 20), this header has nothing.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <version>

#if defined(__cpp_lib_jthread)

#include <optional>
#include <stop_token>
#include <utility>

#include <kaio/coro/detail/early_end.hpp>

namespace kaio::inline KAIO_BUILD {

namespace detail {

template <class Loop, class Awaiter>
class [[nodiscard("kaio: nothing waits until it is awaited: co_await with_stop_token(...)")]] stoppable_wait final
    : public early_end<stoppable_wait<Loop, Awaiter>, Loop, Awaiter> {
    using base = early_end<stoppable_wait, Loop, Awaiter>;

public:
    stoppable_wait(Loop& loop, Awaiter&& awaited, std::stop_token token) noexcept
        : base(loop, std::move(awaited)), token_(std::move(token)) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    stoppable_wait(stoppable_wait&& other) noexcept : base(std::move(other)), token_(std::move(other.token_)) {}

    bool await_ready() noexcept(noexcept(std::declval<base&>().await_ready())) {
        if (base::await_ready()) return true;
        if (!token_.stop_requested()) return false;
        this->end_unawaited();
        return true;
    }

private:
    friend base;

    // What is posted to the loop. It is moved into the post, unless nothing is posted.
    class stop {
    public:
        explicit stop(stoppable_wait& wait) noexcept : wait_(&wait) {}
        stop(stop&& other) noexcept : wait_(std::exchange(other.wait_, nullptr)) {}
        stop(const stop&) = delete;
        stop& operator=(const stop&) = delete;

        bool posted() const noexcept { return wait_ == nullptr; }
        void operator()() const {
            wait_->stopped_ = true;
            wait_->unwatch();
            wait_->reason_came(true);
        }

    private:
        stoppable_wait* wait_;
    };

    // What the stop_callback calls, in any thread. The wait is not over before it has returned.
    struct request {
        stoppable_wait* wait;
        void operator()() const noexcept {
            stop stop_there(*wait);
            wait->set_posted(true); // first, because the loop may call it at once
            (void)wait->loop().try_post(std::move(stop_there));
            if (!stop_there.posted()) wait->set_posted(false);
        }
    };

    void watch() noexcept { callback_.emplace(token_, request{this}); }
    // Waits for a request that is being made. Then it is known whether a stop is posted.
    void unwatch() noexcept { callback_.reset(); }
    bool watches_nothing() const noexcept { return stopped_ || !__atomic_load_n(&posted_, __ATOMIC_ACQUIRE); }
    void set_posted(bool posted) noexcept { __atomic_store_n(&posted_, posted, __ATOMIC_RELEASE); }

    std::stop_token token_;
    std::optional<std::stop_callback<request>> callback_{}; // while it watches
    bool posted_ = false;                                   // a stop was posted; any thread sets it
    bool stopped_ = false;                                  // it has been called
};

} // namespace detail

// Takes what with_timeout takes, and returns the same, but nothing (or false) if a stop is requested before. If it was
// requested already, it waits for nothing. A stop that comes while it waits is posted to the loop, and ends the wait
// from there: nothing is left behind. A disk request that the kernel has goes on, or is waited for, as there. Both can
// be had at once:
//     co_await kaio::with_timeout(loop, kaio::with_stop_token(loop, mutex.lock(), token), 1s);
// then the optional holds another optional (or a bool), which says whether it was stopped. A completed_or_in_flight
// stays one, and does not say which of the two it was.
//
// Errors: if there is no memory for the post of a stop, or no descriptor for the first post of the loop, the stop is
// not seen. Allocates: the post, when a stop is requested. System calls: those of post, and an io_cancel for a poll.
// REQUIRES: no stop is requested by another thread while the loop is being destroyed.
template <class Loop, class Awaitable>
auto with_stop_token(Loop& io_loop, Awaitable&& awaitable, std::stop_token token) noexcept {
    return detail::end_early<detail::stoppable_wait>(io_loop, std::forward<Awaitable>(awaitable), std::move(token));
}

// The same for a request that owns its buffer, with a handler for what completes late: see with_timeout.
template <class Loop, class Awaitable, class Late>
auto with_stop_token(Loop& io_loop, Awaitable&& awaitable, std::stop_token token, Late late) noexcept {
    return detail::end_early<detail::stoppable_wait>(io_loop, std::forward<Awaitable>(awaitable), std::move(token),
                                                     std::move(late));
}

} // namespace kaio

#endif
