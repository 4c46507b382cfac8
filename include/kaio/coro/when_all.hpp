// when_all: runs several tasks at once, and gives what all of them give. They run on one thread, each until it
// suspends.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <kaio/coro/task.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

// What a task<void> gives, where something must stand.
struct nothing {
    friend bool operator==(nothing, nothing) = default;
};

namespace detail {

// Awaits tasks that `start(waiter)` starts, `count` of them.
template <class Start> struct all_started {
    Start start;
    task_waiter waiter;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> frame) noexcept {
        waiter.frame = frame;
        start(waiter);
        return --waiter.left != 0;
    }
    void await_resume() const noexcept {}
};
template <class Start> all_started<Start> start_all(std::size_t count, Start start) noexcept {
    return {std::move(start), {nullptr, count + 1}};
}

template <class T> using given = std::conditional_t<std::is_void_v<T>, nothing, T>;
template <class T> given<T> take(task<T>& ended) {
    if constexpr (std::is_void_v<T>)
        return ended.result(), nothing();
    else
        return ended.result();
}

} // namespace detail

// `auto [a, b] = co_await when_all(f(), g())`: a std::tuple of what they give, with a `nothing` for each task<void>. When
// all have ended, the exception of the first that threw (in the order of the arguments) is thrown. One frame beyond the
// tasks'.
template <class... T> task<std::tuple<detail::given<T>...>> when_all(task<T>... tasks) {
    co_await detail::start_all(sizeof...(T), [&](detail::task_waiter& waiter) { (tasks.start(waiter), ...); });
    co_return std::tuple<detail::given<T>...>{detail::take(tasks)...}; // braces: in the order of the arguments
}

// The same for a container of tasks, such as std::vector<task<T>>: gives a container of the same kind of T, in the same
// order (nothing at all for void).
template <template <class...> class Container, class T, class... Rest>
task<std::conditional_t<std::is_void_v<T>, void, Container<detail::given<T>>>>
when_all(Container<task<T>, Rest...> tasks) {
    static_assert(!std::is_reference_v<T>, "kaio: a container can't hold references; let the tasks return pointers");
    co_await detail::start_all(tasks.size(), [&](detail::task_waiter& waiter) {
        for (task<T>& each : tasks) each.start(waiter);
    });
    if constexpr (std::is_void_v<T>) {
        for (task<T>& each : tasks) each.result();
    } else {
        Container<T> results;
        for (task<T>& each : tasks) results.push_back(each.result());
        co_return results;
    }
}

} // namespace kaio
KAIO_COROUTINES_END
