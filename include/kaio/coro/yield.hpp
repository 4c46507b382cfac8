// yield(loop): lets everything else of a loop have its turn.
//     for (const record& each : records) {
//         index(each); // takes long
//         kaio::io_result const r = co_await kaio::yield(loop);
//         if (!r) co_return; // the loop is being destroyed
//     }
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <kaio/io/duration.hpp>
#include <kaio/loop/timer.hpp>

namespace kaio::inline KAIO_BUILD {

// `co_await` of it suspends the coroutine until the handlers of what has completed, expired or been posted by now were
// called, and those that yielded before have resumed. It resumes in that turn of the loop or the next, inside poll or
// run. Returns an io_result: 0, or ECANCELED if the loop is being destroyed, whose destructor returns only when nobody
// yields any more. It belongs to the loop's thread, and is a timer that expires at once.
// Allocates: nothing. System calls: none, and the loop does not sleep meanwhile.
template <class Loop> auto yield(Loop& io_loop) noexcept { return io_loop.submit(after(duration::zero())); }

} // namespace kaio
