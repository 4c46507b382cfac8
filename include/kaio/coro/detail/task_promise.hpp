// task_promise<T>: the part of a task's frame that outlasts the coroutine's body. It holds what the task returned, or
// what it threw, and whom to tell when it has finished. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/detail/task_waiter.hpp>

namespace kaio::inline KAIO_BUILD {

template <class T> class task;

namespace detail {

// What the promises of all types share.
class task_promise_base {
public:
    // The task runs from now on, and tells `waiter` when it has finished.
    void started(task_waiter& waiter) noexcept {
        assert(!waiter_ && "kaio: a task was started twice");
        waiter_ = &waiter;
        waiter.task_started();
    }

    // The task may still run, but tells nobody when it has finished.
    void abandoned() noexcept { waiter_ = nullptr; }

    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
        struct awaiter {
            task_waiter* waiter;
            bool await_ready() const noexcept { return false; }
            std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
                return waiter ? waiter->task_finished() : std::noop_coroutine();
            }
            void await_resume() const noexcept {}
        };
        return awaiter{waiter_};
    }

    void unhandled_exception() noexcept { exception_.keep(); }

protected:
    void rethrow() const { exception_.rethrow(); }

private:
    first_exception exception_{};
    task_waiter* waiter_ = nullptr; // null: the task has not started, or was abandoned
};

template <class T> class task_promise final : public task_promise_base {
public:
    task_promise() noexcept {}
    ~task_promise() {
        if (returned_) value_.~T();
    }

    task<T> get_return_object() noexcept { return task<T>(std::coroutine_handle<task_promise>::from_promise(*this)); }

    template <class U = T>
        requires std::is_constructible_v<T, U>
    void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U>) {
        ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
        returned_ = true;
    }

    // Returns what the task returned, or throws what it threw. REQUIRES: the task has finished.
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
    task<T&> get_return_object() noexcept { return task<T&>(std::coroutine_handle<task_promise>::from_promise(*this)); }
    void return_value(T& value) noexcept { value_ = &value; }
    T& result() {
        rethrow();
        return *value_;
    }

private:
    T* value_ = nullptr;
};

// A template, so that it can make a task<T>, which is complete only where this is used.
template <class T>
    requires std::is_void_v<T>
class task_promise<T> final : public task_promise_base {
public:
    task<T> get_return_object() noexcept { return task<T>(std::coroutine_handle<task_promise>::from_promise(*this)); }
    void return_void() const noexcept {}
    void result() { rethrow(); }
};

} // namespace detail

} // namespace kaio
