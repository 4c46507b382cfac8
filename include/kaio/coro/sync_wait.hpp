// sync_wait(loop, task): from a function that is no coroutine, runs a task to its end, and the loop with it.
#pragma once

#include <kaio/coro/coroutine.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/result.hpp>

namespace kaio::inline KAIO_BUILD {

// Starts the task, runs the loop until it has ended, and returns what it gives or throws what it throws. What else is
// in the loop runs meanwhile and may still be there afterwards; stop() does not end it. An exception from another
// handler is thrown too, but only when the task has ended, because until then the kernel may write where it points.
// Allocates nothing beyond the task. The loop's thread, and not inside a coroutine: it would block the others.
// Throws std::system_error if the loop is not usable (EINVAL: it belongs to the parent process, or was moved from): the
// task is then never destroyed, because what it waits for is not known.
template <class Loop, class T> T sync_wait(Loop& in, task<T> work) {
    detail::task_waiter waiter{std::noop_coroutine(), 1};
    detail::first_exception other;
    int error = 0;
    in.hold();
    in.inside([&] { work.start(waiter); });
    while (waiter.left != 0 && error == 0)
        other.guard([&] {
            if (auto const one = in.try_run_one(); !one) error = one.error().value();
        });
    in.release();
    if (error != 0) {
        work.abandon();
        detail::throw_error(error, "kaio: sync_wait: the loop does not run");
    }
    other.rethrow();
    return work.result();
}

} // namespace kaio
