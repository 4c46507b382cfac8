// early_end: awaits something else, and ends that wait when there is a reason. Derived classes watch for the reason: a
// timer, or a stop_token. It resumes its coroutine when the wait is over and nothing of the two is left behind.
//
//     awaited     comes to its end by         has ended early if
//     wait_node   leaving its queue, at once  it had to leave
//     operation   loop.cancel, soon           its result is ECANCELED, and it was to end
//     early_end   its own early end           it has no result, and it was to end
//
// It belongs to its loop's thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <optional>
#include <type_traits>
#include <utility>

#include <kaio/coro/detail/suspended.hpp>
#include <kaio/coro/detail/wait_queue.hpp>
#include <kaio/io/request.hpp>
#include <kaio/loop/awaitable.hpp>
#include <kaio/loop/timer.hpp>

namespace kaio::inline KAIO_BUILD::detail {

struct ends_early {}; // the base of all early_ends

template <class Awaiter> inline constexpr bool is_loops = false;
template <class Core> inline constexpr bool is_loops<awaitable<Core, request>> = true;
template <class Core> inline constexpr bool is_loops<awaitable<Core, timer>> = true;

// What can be ended early.
template <class Awaiter>
concept endable = is_loops<Awaiter> || std::is_base_of_v<wait_node, Awaiter> || std::is_base_of_v<ends_early, Awaiter>;

// What is awaited where `awaitable` is.
template <class Awaitable> auto awaiter_of(Awaitable&& awaitable) noexcept {
    if constexpr (requires { static_cast<Awaitable&&>(awaitable).operator co_await(); })
        return static_cast<Awaitable&&>(awaitable).operator co_await();
    else
        return std::decay_t<Awaitable>(static_cast<Awaitable&&>(awaitable));
}

// A derived class has
//     void watch() noexcept;                // from now on, calls reason_came when the reason has come
//     void unwatch() noexcept;              // no longer
//     bool watches_nothing() const noexcept; // true when unwatch has had its effect
template <class Derived, class Loop, class Awaiter> class early_end : public ends_early {
    using awaited_result = decltype(std::declval<Awaiter&>().await_resume());

public:
    bool await_ready() noexcept(noexcept(std::declval<Awaiter&>().await_ready())) { return awaited_.await_ready(); }

    template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
        waiting_ = suspended(coroutine);
        awaited_.await_suspend(arrival{this});
        self().watch();
    }

    // What the awaited thing returns, as a std::optional, or nothing if it was ended early. If it returns nothing:
    // true, or false.
    auto await_resume() {
        if constexpr (std::is_void_v<awaited_result>) {
            if (!left_) awaited_.await_resume();
            return !left_;
        } else {
            std::optional<awaited_result> result;
            if (left_) return result;
            result.emplace(awaited_.await_resume());
            if (to_end_ && without_result(*result)) result.reset();
            return result;
        }
    }

    // Ends the wait early. Returns true if it is over. If not, the coroutine is resumed soon.
    bool end() noexcept {
        to_end_ = true;
        end_awaited();
        return is_over();
    }

protected:
    early_end(Loop& loop, Awaiter&& awaited) noexcept : loop_(loop), awaited_(std::move(awaited)) {}
    early_end(early_end&& other) noexcept : loop_(other.loop_), awaited_(std::move(other.awaited_)) {}
    early_end(const early_end&) = delete;
    early_end& operator=(const early_end&) = delete;
    ~early_end() = default;

    Loop& loop() const noexcept { return loop_; }

    // For await_ready: never waits, and has no result.
    void end_unawaited() noexcept { left_ = true; }

    // The derived class watches nothing any more. `counts`: because the reason has come, and not because the loop is
    // being destroyed. The coroutine may resume inside, and this may be gone afterwards.
    void reason_came(bool counts) {
        if (!arrived_) {
            to_end_ |= counts;
            end_awaited();
        }
        resume_if_over();
    }

private:
    // Takes the place of the coroutine where the other thing is awaited.
    struct arrival {
        early_end* it;

        void* address() const noexcept { return it; }
        static arrival from_address(void* address) noexcept { return {static_cast<early_end*>(address)}; }
        void resume() const {
            it->arrived();
            it->resume_if_over();
        }
    };

    Derived& self() noexcept { return static_cast<Derived&>(*this); }

    void arrived() noexcept {
        arrived_ = true;
        self().unwatch();
    }
    bool is_over() noexcept { return arrived_ && self().watches_nothing(); }
    void resume_if_over() {
        if (is_over()) waiting_.coroutine().resume();
    }

    void end_awaited() noexcept {
        if (arrived_) return;
        if constexpr (is_loops<Awaiter>) {
            (void)loop_.cancel(awaited_); // if that fails, it has completed, or nothing can end it
        } else {
            if constexpr (std::is_base_of_v<wait_node, Awaiter>)
                awaited_.leave();
            else if (!awaited_.end())
                return;
            left_ = true;
            arrived();
        }
    }

    template <class Result> static bool without_result(const Result& result) noexcept {
        if constexpr (is_loops<Awaiter>)
            return result.res() == -ECANCELED;
        else if constexpr (std::is_base_of_v<ends_early, Awaiter>)
            return !result;
        else
            return false;
    }

    Loop& loop_;
    Awaiter awaited_;
    suspended waiting_{};
    bool arrived_ = false; // the awaited thing is over
    bool to_end_ = false;  // the reason has come
    bool left_ = false;    // the awaited thing has ended without a result
};

} // namespace kaio::detail
