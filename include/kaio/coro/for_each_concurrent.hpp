// for_each_concurrent: does something that awaits with every element of a range, so many at once: "keep 16 reads in
// flight over these blocks". All on one thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <type_traits>
#include <utility>

#include <kaio/coro/task.hpp>
#include <kaio/io/result.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

namespace detail {

// What the workers of one call share.
template <class Iterator, class End, class Function> struct shared_work {
    Iterator next;
    End end;
    Function& function;
    first_exception thrown;
    task_waiter waiter{nullptr, 1};
};

// Runs at once, tells the waiter when it ends, and frees itself.
struct worker {
    struct promise_type {
        task_waiter& waiter;

        template <class Work> explicit promise_type(Work& work) noexcept : waiter(work.waiter) {}
        worker get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct awaiter {
                task_waiter& waiter;
                bool await_ready() const noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<> self) const noexcept {
                    task_waiter& told = waiter; // this awaiter lies in the frame that goes
                    self.destroy();
                    return --told.left == 0 ? told.frame : std::noop_coroutine();
                }
                void await_resume() const noexcept {}
            };
            return awaiter{waiter};
        }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::abort(); } // never: do_each keeps all of them
    };
};

// What `co_await` of an A gives.
template <class A> decltype(auto) awaited(A&& awaitable) {
    if constexpr (requires { static_cast<A&&>(awaitable).operator co_await(); })
        return static_cast<A&&>(awaitable).operator co_await().await_resume();
    else if constexpr (requires { operator co_await(static_cast<A&&>(awaitable)); })
        return operator co_await(static_cast<A&&>(awaitable)).await_resume();
    else
        return awaitable.await_resume();
}

template <class Work> worker do_each(Work& work) {
#if defined(__cpp_exceptions)
    try {
#endif
        while (!work.thrown && work.next != work.end) {
            decltype(auto) element = *work.next;
            ++work.next;
            static_assert(!can_fail<std::remove_cvref_t<decltype(awaited(work.function(element)))>>,
                          "kaio: for_each_concurrent drops what its function awaits, and this may be an error: let the "
                          "function be a coroutine that looks at it and returns a task<>");
            (void)co_await work.function(element);
        }
#if defined(__cpp_exceptions)
    } catch (...) {
        work.thrown.keep();
    }
#endif
}

template <class Range, class Function> task<void> do_all(Range range, std::size_t limit, Function function) {
    using std::begin, std::end;
    shared_work<decltype(begin(range)), decltype(end(range)), Function> work{begin(range), end(range), function, {}};
    struct started {
        decltype(work)& of;
        std::size_t limit;

        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> frame) const noexcept {
            of.waiter.frame = frame;
            bool began = true;
            for (std::size_t i = 0; i < limit && began && !of.thrown; ++i) {
                began = false;
                ++of.waiter.left;
                of.thrown.guard([&] {                 // an exception waits until the workers that began have ended
                    if (!(of.next != of.end)) return; // as a range-for asks
                    do_each(of);
                    began = true;
                });
                if (!began) --of.waiter.left;
            }
            return --of.waiter.left != 0;
        }
        void await_resume() const noexcept {}
    };
    co_await started{work, limit};
    work.thrown.rethrow();
}

} // namespace detail

// Awaits `function(element)` for each element of `range`, in its order, at most `limit` (1 or more) at once; it may
// return a task, or anything else that can be awaited. What that gives is dropped, and must not be a result that may be
// an error, such as loop.submit's: a task<> can look at it. After an
// exception no more elements are begun, and when those that were have ended, the first exception is thrown. A range
// that is an lvalue must stay until the task has ended, another is moved into it; elements that are not values must
// stay valid when the iterator moves on. Allocates `limit` frames, and what `function` does.
template <class Range, class Function>
task<void> for_each_concurrent(Range&& range, std::size_t limit, Function function) {
    return detail::do_all<Range, Function>(std::forward<Range>(range), limit == 0 ? 1 : limit, std::move(function));
}

} // namespace kaio
KAIO_COROUTINES_END
