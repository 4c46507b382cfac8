// run_detached: a coroutine that nobody waits for. It runs a task, and frees its own frame at the end.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstdlib>
#include <utility>

#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/timer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD::detail {

struct detached {
    struct promise_type {
        detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        // The task's exception can't be passed on: there is no memory for the timer that would throw it.
        [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
    };
};

// Holds `holder`, which is the loop or a scope of it, until the task has finished. What the task throws leaves poll or
// run soon afterwards.
template <class Loop, class Holder, class T> detached run_detached(Loop& loop, Holder& holder, task<T> task) {
    holder.hold(); // not earlier: if there is no memory for this frame, nothing holds the loop
    first_exception thrown;
#if defined(__cpp_exceptions)
    try {
        (void)co_await std::move(task);
    } catch (...) {
        thrown.keep();
    }
#else
    (void)co_await std::move(task);
#endif
    holder.release();
    if (thrown)
        loop.submit(after(duration::zero()), [thrown](io_result r) {
            if (r) thrown.rethrow(); // not in the loop's destructor, which cancels this timer
        });
}

} // namespace kaio::detail
KAIO_COROUTINES_END
