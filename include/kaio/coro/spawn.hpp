// spawn(loop, task): lets a task run by itself. The loop counts it: run returns only when it has ended.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstdlib>
#include <utility>

#include <kaio/coro/task.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/timer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

namespace detail {

// A coroutine that nobody waits for: its frame goes when it ends.
struct detached {
    struct promise_type {
        detached get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::abort(); } // there is no memory to report it
    };
};

template <class Loop, class T> detached run_detached(Loop& in, task<T> work) {
    in.hold(); // here, so that a frame that there is no memory for leaves none behind
    first_exception thrown;
#if defined(__cpp_exceptions)
    try {
        (void)co_await std::move(work);
    } catch (...) {
        thrown.keep();
    }
#else
    (void)co_await std::move(work);
#endif
    in.release();
    if (thrown)
        in.submit(after(duration::zero()), [thrown](io_result r) {
            if (r) thrown.rethrow(); // not in the loop's destructor
        });
}

} // namespace detail

// Starts the task now: it runs on the caller's stack until it first suspends, and from then on inside poll and run.
// What it returns is dropped, and must not be a result that may be an error; an exception that leaves it leaves poll
// or run, as a handler's does. Whoever destroys the
// loop waits for it: its requests complete, those not yet submitted with ECANCELED, and a task that goes on submitting
// whatever the result keeps the destructor from ending; an exception is dropped there. A task that waits for anything
// but the loop when that is destroyed is never resumed, and its frame stays allocated. Two allocations, of frames. The
// loop's thread.
template <class Loop, class T> void spawn(Loop& in, task<T> work) {
    static_assert(!detail::can_fail<T>, "kaio: spawn drops what its task returns, and this may be an error: let a "
                                        "task<> look at it");
    in.inside([&] { detail::run_detached(in, std::move(work)); });
}

} // namespace kaio
KAIO_COROUTINES_END
