// early_end: awaits something else, and ends that wait when there is a reason. Derived classes watch for the reason: a
// timer, or a stop_token. It resumes its coroutine when the wait is over and nothing of the two is left behind.
//
//     awaited      comes to its end by          has ended early if
//     wait_node    leaving its queue, at once   it had to leave
//     operation    loop.cancel, soon            its result is ECANCELED, and it was to end
//     owning_wait  leaving the request alone    its result says so
//     early_end    its own early end            it has no result, and it was to end
//
// It belongs to its loop's thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <optional>
#include <type_traits>
#include <utility>

#include <kaio/coro/completed_or_in_flight.hpp>
#include <kaio/coro/detail/owning_wait.hpp>
#include <kaio/coro/detail/suspended.hpp>
#include <kaio/coro/detail/wait_queue.hpp>
#include <kaio/io/owning.hpp>
#include <kaio/io/request.hpp>
#include <kaio/loop/timer.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD::detail {

struct ends_early {}; // the base of all early_ends

// What co_await would submit, of an awaitable of a loop or of a scope.
template <class Awaiter> struct submitted_by {
    using type = void;
};
template <class Awaiter>
    requires requires { typename Awaiter::submits; }
struct submitted_by<Awaiter> {
    using type = typename Awaiter::submits;
};
template <class Awaiter> using submitted_by_t = typename submitted_by<std::remove_cvref_t<Awaiter>>::type;

template <class Awaiter>
inline constexpr bool is_loops =
    std::is_same_v<submitted_by_t<Awaiter>, request> || std::is_same_v<submitted_by_t<Awaiter>, timer>;

template <class Result> inline constexpr bool may_be_in_flight = false;
template <class Result, class Buffer>
inline constexpr bool may_be_in_flight<completed_or_in_flight<Result, Buffer>> = true;

template <class Awaiter> inline constexpr bool is_owning_wait = false;
template <class Awaitable, class What, class Late>
inline constexpr bool is_owning_wait<owning_wait<Awaitable, What, Late>> = true;

// What can be ended early.
template <class Awaiter>
concept endable = is_loops<Awaiter> || is_owning_wait<Awaiter> || std::is_base_of_v<wait_node, Awaiter> ||
                  std::is_base_of_v<ends_early, Awaiter>;

// What is awaited where `awaitable` is. `late`: see owning_wait.
template <class Awaitable, class Late> auto awaiter_of(Awaitable&& awaitable, Late late) noexcept {
    if constexpr (is_owning<submitted_by_t<Awaitable>>)
        return owning_wait<std::remove_cvref_t<Awaitable>, submitted_by_t<Awaitable>, Late>(
            static_cast<Awaitable&&>(awaitable), std::move(late));
}
template <class Awaitable> auto awaiter_of(Awaitable&& awaitable) noexcept {
    if constexpr (requires { static_cast<Awaitable&&>(awaitable).operator co_await(); })
        return static_cast<Awaitable&&>(awaitable).operator co_await();
    else if constexpr (is_owning<submitted_by_t<Awaitable>>)
        return awaiter_of(static_cast<Awaitable&&>(awaitable), unnoticed());
    else
        return std::decay_t<Awaitable>(static_cast<Awaitable&&>(awaitable));
}

// A derived class has
//     void watch() noexcept;                // from now on, calls reason_came when the reason has come
//     void unwatch() noexcept;              // no longer
//     bool watches_nothing() const noexcept; // true when unwatch has had its effect
template <class Derived, class Loop, class Awaiter> class early_end : public ends_early {
    using awaited_result = decltype(std::declval<Awaiter&>().await_resume());
    static constexpr bool outlives_wait = may_be_in_flight<awaited_result>; // what is awaited

public:
    bool await_ready() noexcept(noexcept(std::declval<Awaiter&>().await_ready())) { return awaited_.await_ready(); }

    // Returns false if what was awaited is over at once.
    template <class Coroutine> bool await_suspend(Coroutine coroutine) noexcept {
        waiting_ = suspended(coroutine);
        if constexpr (outlives_wait) {
            if (!awaited_.await_suspend(arrival{this})) return false;
        } else {
            awaited_.await_suspend(arrival{this});
        }
        self().watch();
        return true;
    }

    // What the awaited thing returns, as a std::optional, or nothing if it was ended early. If it returns nothing:
    // true, or false. If that can say itself that it is not over: what it returns.
    auto await_resume() {
        if constexpr (outlives_wait) {
            return awaited_.await_resume();
        } else if constexpr (std::is_void_v<awaited_result>) {
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

    // For await_ready: never waits, and has no result.
    void end_unawaited() noexcept {
        left_ = true;
        if constexpr (is_loops<Awaiter>)
            awaited_.dismiss();
        else if constexpr (!std::is_base_of_v<wait_node, Awaiter>)
            awaited_.end_unawaited();
    }

protected:
    early_end(Loop& loop, Awaiter&& awaited) noexcept : loop_(loop), awaited_(std::move(awaited)) {}
    early_end(early_end&& other) noexcept : loop_(other.loop_), awaited_(std::move(other.awaited_)) {}
    early_end(const early_end&) = delete;
    early_end& operator=(const early_end&) = delete;
    ~early_end() = default;

    Loop& loop() const noexcept { return loop_; }

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
            (void)core_of(loop_).cancel(core_of(awaited_)); // if that fails, it has completed, or nothing can end it
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

// What with_timeout and with_stop_token return: a `Kind` of early_end, of what is awaited where `awaitable` is.
template <template <class, class> class Kind, class Loop, class Awaitable, class Reason, class... Late>
auto end_early(Loop& loop, Awaitable&& awaitable, Reason&& reason, Late&&... late) noexcept {
    using submitted = submitted_by_t<Awaitable>;
    using awaiter = decltype(awaiter_of(std::forward<Awaitable>(awaitable), std::forward<Late>(late)...));
    constexpr bool can_be_late = sizeof...(Late) == 0 || is_owning<submitted>;
    constexpr bool borrows_for_parts = std::is_same_v<submitted, whole_transfer>;
    static_assert(can_be_late, "kaio: only a request that owns its buffer, kaio::read(file, std::move(buffer), 0), can "
                               "complete late: whatever else is awaited here has ended when the wait has");
    static_assert(!borrows_for_parts,
                  "kaio: a fully() that borrows its buffer can't be given up: the kernel has the buffer, and the rest "
                  "would never be transferred. Hand the buffer over: fully(kaio::read(file, std::move(buffer), 0))");
    static_assert(endable<awaiter> || !can_be_late || borrows_for_parts,
                  "kaio: this can't be given up. What can: polls, timers, requests, and waits for an event, "
                  "completion, semaphore, mutex, channel, pool or group. A task can't, because what it uses may be "
                  "in flight: let it give up what it awaits itself");
    if constexpr (endable<awaiter>)
        return Kind<Loop, awaiter>(loop, awaiter_of(std::forward<Awaitable>(awaitable), std::forward<Late>(late)...),
                                   std::forward<Reason>(reason));
}

} // namespace kaio::detail
