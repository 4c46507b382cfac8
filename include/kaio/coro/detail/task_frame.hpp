// task_frame<T>: owns the frame of a task, which is one allocation. A frame holds
//     two pointers           the compiler's: the functions that resume and destroy it
//     the promise            what the task returned or threw, and whom to tell: detail/task_promise.hpp
//     the coroutine's own    its parameters and variables, and where it is suspended
//     what it awaits now     a request: the operation with its iocb, see loop/awaitable.hpp
//                            a task: a task_frame of that one, and a task_waiter, see coro/task.hpp
// One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include <kaio/coro/detail/task_promise.hpp>
#include <kaio/coro/detail/task_waiter.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// It can be moved, and then owns nothing. Its destructor destroys the frame.
template <class T> class task_frame {
public:
    task_frame() noexcept = default;
    explicit task_frame(std::coroutine_handle<task_promise<T>> handle) noexcept : handle_(handle) {}
    task_frame(task_frame&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    // Moving an object to itself leaves it as it is.
    task_frame& operator=(task_frame&& other) noexcept {
        task_frame moved(std::move(other));
        handle_ = std::exchange(moved.handle_, handle_);
        return *this;
    }
    ~task_frame() {
        if (handle_) handle_.destroy();
    }

    // True if it owns a frame.
    explicit operator bool() const noexcept { return handle_ != nullptr; }

    // Runs the task until it first suspends. The frame and `waiter`, which is told, must stay until it has finished.
    // Without a frame, ends the program with a message.
    void start(task_waiter& waiter) noexcept {
        if (!handle_) [[unlikely]]
            awaited_nothing();
        handle_.promise().started(waiter);
        handle_.resume();
    }

    // Returns what the task returned, or throws what it threw. REQUIRES: the task has finished.
    T result() { return handle_.promise().result(); }

    // Never destroys the frame, and forgets the waiter. For a task that may still be resumed, nobody knows when.
    // REQUIRES: the task has started.
    void abandon() noexcept {
        handle_.promise().abandoned();
        handle_ = nullptr;
    }

private:
    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void awaited_nothing() noexcept {
        std::fputs("kaio: a task was awaited that is none: it was moved from, or awaited before\n", stderr);
        std::abort();
    }

    std::coroutine_handle<task_promise<T>> handle_ = nullptr;
};

// The frame of a task, for what combines tasks.
template <class T> task_frame<T>& frame_of(task<T>& task) noexcept { return task.frame_; }

} // namespace kaio::detail
