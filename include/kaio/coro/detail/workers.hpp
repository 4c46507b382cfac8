// workers: coroutines that share the elements of a range. Each takes the next element, awaits what the function
// returns for it, and goes on, so there are never more elements in progress than workers. All on one thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <type_traits>

#include <kaio/coro/detail/can_fail.hpp>
#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/detail/task_waiter.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/result.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD::detail {

// What the workers of one call share.
template <class Iterator, class End, class Function> struct shared_work {
    Iterator next; // the next element to begin
    End end;
    Function& function;
    first_exception thrown{};
    task_waiter waiter{};

    // False after an exception, too. Compares as a range-for does.
    bool has_more() const { return !thrown && next != end; }
};

// A coroutine that starts at once, tells the waiter of its work when it finishes, and frees its own frame.
struct worker {
    struct promise_type {
        task_waiter& waiter;

        // Only called when there was memory for the frame.
        template <class Work> explicit promise_type(Work& work) noexcept : waiter(work.waiter) {
            waiter.task_started();
        }
        worker get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct awaiter {
                task_waiter& waiter;
                bool await_ready() const noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<> self) const noexcept {
                    std::coroutine_handle<> const next = waiter.task_finished();
                    self.destroy(); // with this awaiter
                    return next;
                }
                void await_resume() const noexcept {}
            };
            return awaiter{waiter};
        }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::abort(); } // never: do_each keeps all of them
    };
};

// What `co_await` of an A returns.
template <class A> decltype(auto) awaited(A&& awaitable) {
    if constexpr (requires { static_cast<A&&>(awaitable).operator co_await(); })
        return static_cast<A&&>(awaitable).operator co_await().await_resume();
    else if constexpr (requires { operator co_await(static_cast<A&&>(awaitable)); })
        return operator co_await(static_cast<A&&>(awaitable)).await_resume();
    else
        return awaitable.await_resume();
}

// One worker: does elements until there are no more.
template <class Work> worker do_each(Work& work) {
#if defined(__cpp_exceptions)
    try {
#endif
        while (work.has_more()) {
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

// Does all elements with at most `limit` workers.
template <class Range, class Function> task<void> do_all(Range range, std::size_t limit, Function function) {
    using std::begin, std::end;
    shared_work<decltype(begin(range)), decltype(end(range)), Function> work{begin(range), end(range), function};
    // If a worker can't start, those that did are waited for, and then the exception is thrown.
    work.thrown.guard([&] {
        for (std::size_t workers = 0; workers < limit && work.has_more(); ++workers) do_each(work);
    });
    co_await work.waiter;
    work.thrown.rethrow();
}

} // namespace kaio::detail
KAIO_COROUTINES_END
