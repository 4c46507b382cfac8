// task_waiter: counts the tasks that a coroutine has started. The coroutine awaits it, and the task that finishes last
// resumes the coroutine.
//     detail::task_waiter waiter;
//     for (auto& task : tasks) detail::frame_of(task).start(waiter);
//     co_await waiter;
// It must stay until the tasks have finished. One thread at a time. docs/decisions/starting-a-task.md says why tasks
// are counted and not simply resumed one from the other.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <cstddef>

namespace kaio::inline KAIO_BUILD::detail {

class task_waiter {
public:
    // A task counts itself when it starts.
    void task_started() noexcept { ++running_; }

    // A task calls this as the last thing it does, and then resumes what this returns: the coroutine, if this was the
    // last task, else a coroutine that does nothing.
    [[nodiscard]] std::coroutine_handle<> task_finished() noexcept {
        assert(running_ != 0 && "kaio: more tasks have finished than were started");
        return --running_ == 0 ? coroutine_ : std::noop_coroutine();
    }

    bool all_finished() const noexcept { return running_ == 0; }

    // `co_await` of it. Tasks that finish before this resume nothing and grow no stack.
    bool await_ready() const noexcept { return all_finished(); }
    void await_suspend(std::coroutine_handle<> coroutine) noexcept { coroutine_ = coroutine; }
    void await_resume() const noexcept {}

private:
    std::coroutine_handle<> coroutine_ = std::noop_coroutine(); // the coroutine that awaits this, once it is suspended
    std::size_t running_ = 0;                                   // tasks that were started and have not finished
};

} // namespace kaio::detail
