// task<T>: a coroutine that starts when it is awaited, and returns a T, a reference or nothing, or throws.
//     kaio::task<std::size_t> read_head(kaio::loop& loop, const kaio::file& file, kaio::view<std::byte> head) {
//         kaio::io_result const r = co_await loop.submit(kaio::read(file, head, 0));
//         co_return r.value("read the head");
//     }
//     std::size_t const bytes = co_await read_head(loop, file, buffer); // in another coroutine
// It runs on the call stack of what starts or resumes it: first its awaiter, then the loop's poll or run. A task and
// all that it awaits belong to one thread. Allocates: its frame, see coro/detail/task_frame.hpp.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <utility>

#include <kaio/coro/detail/task_frame.hpp>
#include <kaio/coro/detail/task_promise.hpp>
#include <kaio/coro/detail/task_waiter.hpp>

namespace kaio::inline KAIO_BUILD {

namespace detail {
struct std_move_the_task_that_is_awaited; // stands in the error for `co_await t` of a variable
} // namespace detail

// It can be moved, not copied. `co_await std::move(t)`, or of a task that a function returns, runs it. From then on the
// awaiting coroutine's frame owns it: a task that has started can't be destroyed before it has finished, except with
// the frame that awaits it. A task that is never awaited never runs.
template <class T = void>
class [[nodiscard("kaio: a task does not run until it is awaited, spawned or passed to sync_wait")]] task {
public:
    // For the compiler.
    using promise_type = detail::task_promise<T>;

    // No task, as after moving from it.
    task() noexcept = default;

    // False if it is no task.
    explicit operator bool() const noexcept { return static_cast<bool>(frame_); }

    // Returns what the task returns, or throws what it throws. Awaiting no task ends the program with a message.
    auto operator co_await() && noexcept {
        struct awaiter {
            detail::task_frame<T> frame;
            detail::task_waiter waiter{};

            // A task that finishes at once never suspends its awaiter.
            bool await_ready() noexcept {
                frame.start(waiter);
                return waiter.await_ready();
            }
            void await_suspend(std::coroutine_handle<> coroutine) noexcept { waiter.await_suspend(coroutine); }
            T await_resume() { return frame.result(); }
        };
        return awaiter{std::move(frame_)};
    }

    // Of a variable: awaiting a task uses it up, so the call says that.
    detail::std_move_the_task_that_is_awaited operator co_await() const& = delete; // co_await std::move(t)

private:
    friend promise_type;
    template <class U> friend detail::task_frame<U>& detail::frame_of(task<U>&) noexcept;

    explicit task(std::coroutine_handle<promise_type> handle) noexcept : frame_(handle) {}

    detail::task_frame<T> frame_{};
};

} // namespace kaio
