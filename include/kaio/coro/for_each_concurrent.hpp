// for_each_concurrent: awaits a function of every element of a range, so many at once.
//     co_await kaio::for_each_concurrent(offsets, 16, [&](std::int64_t offset) -> kaio::task<> {
//         total += co_await checksum(loop, file, offset); // 16 of these are in progress
//     });
// All of it runs on one thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <utility>

#include <kaio/coro/detail/workers.hpp>
#include <kaio/coro/task.hpp>

namespace kaio::inline KAIO_BUILD {

// Awaits `function(element)` for each element of `range`, in its order, at most `limit` at once (0 counts as 1). The
// function may return a task, or anything else that can be awaited. What awaiting that returns is dropped, and must not
// be a result that may be an error, such as that of loop.submit: let a task<> look at it.
//
// After an exception no more elements begin. When those that did have finished, the first exception is thrown. A range
// that is an lvalue must stay until the task has finished; an rvalue is moved into the task. If the elements are
// references, they must stay valid when the iterator moves on. Allocates: the task's frame, up to `limit` more, and
// what `function` allocates.
template <class Range, class Function>
task<void> for_each_concurrent(Range&& range, std::size_t limit, Function function) {
    return detail::do_all<Range, Function>(std::forward<Range>(range), limit == 0 ? 1 : limit, std::move(function));
}

} // namespace kaio
