// task<T>: a coroutine that starts when it is awaited, and gives a T, a reference, nothing, or an exception. It runs on
// the stack of whoever starts or resumes it: its awaiter first, then the loop's poll or run. One allocation, its frame.
// A task and all that it awaits belong to one thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

#if defined(__cpp_exceptions)
#include <exception>
#endif


namespace kaio::inline KAIO_BUILD {

template <class T = void> class task;

namespace detail {

// The first exception that leaves any of some calls, kept until they have all been made.
class first_exception {
public:
#if defined(__cpp_exceptions)
    template <class Function> void guard(Function&& function) noexcept {
        try {
            function();
        } catch (...) {
            keep();
        }
    }
    void keep() noexcept { // REQUIRES: inside a catch
        if (!thrown_) thrown_ = std::current_exception();
    }
    void rethrow() const {
        if (thrown_) std::rethrow_exception(thrown_);
    }
    explicit operator bool() const noexcept { return thrown_ != nullptr; }

private:
    std::exception_ptr thrown_{};
#else
    template <class Function> void guard(Function&& function) { function(); }
    void keep() const noexcept {}
    void rethrow() const noexcept {}
    explicit operator bool() const noexcept { return false; }
#endif
};

// Who goes on when tasks have ended: the last of them resumes it. One count is for whoever starts them, so that tasks
// that end before all are started (or before the awaiter is suspended) resume nobody and grow no stack.
// docs/decisions/starting-a-task.md has the reasons.
struct task_waiter {
    std::coroutine_handle<> frame;
    std::size_t left;
};

class task_promise_base {
public:
    // REQUIRES: it is not started
    void waiter(task_waiter& waiter) noexcept { waiter_ = &waiter; }

    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
        struct awaiter {
            task_waiter& waiter;
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
                return --waiter.left == 0 ? waiter.frame : std::noop_coroutine();
            }
            void await_resume() const noexcept {}
        };
        return awaiter{*waiter_};
    }

    void unhandled_exception() noexcept { exception_.keep(); }

protected:
    void rethrow() const { exception_.rethrow(); }

private:
    first_exception exception_{};
    task_waiter* waiter_ = nullptr;
};

template <class T> class task_promise final : public task_promise_base {
public:
    task_promise() noexcept {}
    ~task_promise() {
        if (returned_) value_.~T();
    }

    task<T> get_return_object() noexcept;

    template <class U = T>
        requires std::is_constructible_v<T, U>
    void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U>) {
        ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
        returned_ = true;
    }

    T result() {
        rethrow();
        return std::move(value_);
    }

private:
    union {
        T value_; // alive if returned_
    };
    bool returned_ = false;
};

template <class T> class task_promise<T&> final : public task_promise_base {
public:
    task<T&> get_return_object() noexcept;
    void return_value(T& value) noexcept { value_ = &value; }
    T& result() {
        rethrow();
        return *value_;
    }

private:
    T* value_ = nullptr;
};

template <> class task_promise<void> final : public task_promise_base {
public:
    task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void result() { rethrow(); }
};

} // namespace detail

// Move-only. `co_await std::move(t)` (or of a task that a function returns) runs it, and the awaiting coroutine's frame
// owns it from then on: a task that has begun can't be destroyed before it has ended, except with the frame that awaits
// it. A task that is never awaited never runs.
template <class T>
class [[nodiscard("kaio: a task does not run until it is awaited, spawned or given to sync_wait")]] task {
public:
    using promise_type = detail::task_promise<T>;

    // No task; also what a moved-from task is.
    task() noexcept = default;
    task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        task taken(std::move(other));
        frame_ = std::exchange(taken.frame_, frame_);
        return *this;
    }
    ~task() {
        if (frame_) frame_.destroy();
    }

    explicit operator bool() const noexcept { return frame_ != nullptr; }

    // Gives what the task returns, or throws what it throws. Awaiting no task ends the program with a message.
    auto operator co_await() && noexcept {
        struct awaiter {
            task owned;
            detail::task_waiter waiter{nullptr, 2};

            bool await_ready() const noexcept { return false; }
            bool await_suspend(std::coroutine_handle<> frame) noexcept {
                waiter.frame = frame;
                owned.start(waiter);
                return --waiter.left != 0;
            }
            T await_resume() { return owned.result(); }
        };
        return awaiter{std::move(*this)};
    }

    // For combinations of tasks: runs it until it first suspends; when it has ended it tells `waiter`, which must stay
    // until then, as the task must; and then result() is what it gave.
    void start(detail::task_waiter& waiter) noexcept {
        if (!frame_) [[unlikely]]
            awaited_nothing();
        frame_.promise().waiter(waiter);
        frame_.resume();
    }
    T result() { return frame_.promise().result(); }

    // Leaves the frame alone for ever. For a task of which nobody can say any more when it ends.
    void abandon() noexcept { frame_ = nullptr; }

private:
    friend promise_type;
    explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}

    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void awaited_nothing() noexcept {
        std::fputs("kaio: a task was awaited that is none: it was moved from, or awaited before\n", stderr);
        std::abort();
    }

    std::coroutine_handle<promise_type> frame_ = nullptr;
};

template <class T> task<T> detail::task_promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
template <class T> task<T&> detail::task_promise<T&>::get_return_object() noexcept {
    return task<T&>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline task<void> detail::task_promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

} // namespace kaio
