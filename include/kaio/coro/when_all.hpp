// when_all: runs several tasks at once and returns what all of them return. They run on one thread, each until it
// suspends.
//     auto const [index, data] = co_await kaio::when_all(read_index(loop, file), read_data(loop, file));
//     std::vector<std::size_t> const sizes = co_await kaio::when_all(std::move(tasks)); // a std::vector of tasks
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <tuple>
#include <type_traits>
#include <utility>

#include <kaio/coro/detail/task_frame.hpp>
#include <kaio/coro/detail/task_waiter.hpp>
#include <kaio/coro/task.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

// Stands for what a task<void> returns, where there must be a value.
struct nothing {
    // One is as good as another.
    friend bool operator==(nothing, nothing) = default;
};

namespace detail {

template <class T> using value_or_nothing = std::conditional_t<std::is_void_v<T>, nothing, T>;

// What a task that has finished returned, or `nothing`. Throws what it threw.
template <class T> value_or_nothing<T> result_of(task<T>& task) {
    if constexpr (std::is_void_v<T>)
        return frame_of(task).result(), nothing();
    else
        return frame_of(task).result();
}

} // namespace detail

// Returns a std::tuple of what the tasks return, in the order of the arguments, with a `nothing` for each task<void>.
// If any of them throws, it throws the first exception in that order, when all have finished. Allocates: one frame
// beside the tasks'.
template <class... T> task<std::tuple<detail::value_or_nothing<T>...>> when_all(task<T>... tasks) {
    detail::task_waiter waiter;
    (detail::frame_of(tasks).start(waiter), ...);
    co_await waiter;
    co_return std::tuple<detail::value_or_nothing<T>...>{detail::result_of(tasks)...}; // braces: in this order
}

// The same for a container of tasks, such as std::vector<task<T>>. Returns a container of the same kind with the Ts in
// the same order, or for task<void> nothing.
template <template <class...> class Container, class T, class... Rest>
task<std::conditional_t<std::is_void_v<T>, void, Container<detail::value_or_nothing<T>>>>
when_all(Container<task<T>, Rest...> tasks) {
    static_assert(!std::is_reference_v<T>, "kaio: a container can't hold references; let the tasks return pointers");
    detail::task_waiter waiter;
    for (task<T>& each : tasks) detail::frame_of(each).start(waiter);
    co_await waiter;
    if constexpr (std::is_void_v<T>) {
        for (task<T>& each : tasks) detail::result_of(each);
    } else {
        Container<T> results;
        for (task<T>& each : tasks) results.push_back(detail::result_of(each));
        co_return results;
    }
}

} // namespace kaio
KAIO_COROUTINES_END
