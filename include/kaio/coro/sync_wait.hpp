// sync_wait(loop, task): runs a task to its end, and the loop with it, from a function that is no coroutine.
//     int main() {
//         kaio::loop loop(128);
//         return kaio::sync_wait(loop, program(loop)); // a task<int>
//     }
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <utility>

#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/detail/task_frame.hpp>
#include <kaio/coro/detail/task_waiter.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/result.hpp>

namespace kaio::inline KAIO_BUILD {

// Starts the task, runs the loop until the task has finished, and returns what it returns or throws what it throws.
//
// The loop's other handlers and coroutines run meanwhile, and may have more to do afterwards. stop() does not end the
// wait. What a handler throws is thrown here too, but only when the task has finished, because until then the kernel
// may write into the task's buffers. It belongs to the loop's thread. A coroutine that calls it blocks all others.
// Allocates: nothing beside the task.
//
// Errors: throws std::system_error if the loop does not run. EINVAL says that it belongs to the parent process, or was
// moved from. The task is then never destroyed, because what it waits for may still come.
template <class Loop, class T> T sync_wait(Loop& io_loop, task<T> task) {
    detail::task_frame<T> frame = std::move(detail::frame_of(task));
    detail::task_waiter waiter;
    detail::first_exception thrown; // by handlers
    int error = 0;
    io_loop.hold();
    io_loop.inside([&] { frame.start(waiter); });
    while (!waiter.all_finished() && error == 0)
        thrown.guard([&] {
            if (auto const one = io_loop.try_run_one(); !one) error = one.error().value();
        });
    io_loop.release();
    if (error != 0) {
        frame.abandon();
        detail::throw_error(error, "kaio: sync_wait: the loop does not run");
    }
    thrown.rethrow();
    return frame.result();
}

} // namespace kaio
