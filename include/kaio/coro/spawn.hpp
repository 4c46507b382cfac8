// spawn(loop, task): lets a task run by itself. The loop counts it: run returns only when it has finished.
//     for (connection& each : connections) kaio::spawn(loop, serve(loop, each));
//     loop.run();
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <utility>

#include <kaio/coro/detail/can_fail.hpp>
#include <kaio/coro/detail/detached.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/request_scope.hpp>

namespace kaio::inline KAIO_BUILD {

// Starts the task now. It runs on the caller's stack until it first suspends, and from then on inside poll and run.
// What it returns is dropped, and must not be a result that may be an error. What it throws leaves poll or run, as if a
// handler had thrown it. It belongs to the loop's thread. Allocates: one frame beside the task's.
//
// The loop's destructor waits for the task. Requests that the kernel has complete with their results, and those that
// are not submitted yet with ECANCELED. A task that submits more whatever the results are keeps the destructor from
// returning. What a task throws there is dropped. A task that waits for anything but the loop is never resumed then,
// and its frame is never freed.
template <class Loop, class T> void spawn(Loop& io_loop, task<T> task) {
    static_assert(!detail::can_fail<T>, "kaio: spawn drops what its task returns, and this may be an error: let a "
                                        "task<> look at it");
    io_loop.inside([&] { detail::run_detached(io_loop, io_loop, std::move(task)); });
}

// The same for a task of an object that may go before its loop: the scope counts the task until it has finished. What
// such a task waits for, it submits through the scope, so that closing the scope cancels its polls and timers. A task
// that is spawned when the scope is closed runs, and what it submits through the scope completes with ECANCELED.
template <class Loop, class T> void spawn(basic_request_scope<Loop>& scope, task<T> task) {
    static_assert(!detail::can_fail<T>, "kaio: spawn drops what its task returns, and this may be an error: let a "
                                        "task<> look at it");
    scope.loop().inside([&] { detail::run_detached(scope.loop(), scope, std::move(task)); });
}

} // namespace kaio
