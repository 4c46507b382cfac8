// task_group: runs any number of tasks, which are spawned one by one, and waits for all of them.
//     kaio::task_group uploads(loop, 8); // at most 8 run at once; without the 8: all
//     for (const part& each : parts) uploads.spawn(upload(loop, each));
//     co_await uploads.wait(); // throws the first exception of any of them
// It belongs to the loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <utility>

#include <kaio/coro/detail/can_fail.hpp>
#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/detail/group_member.hpp>
#include <kaio/coro/detail/wait_queue.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/timer.hpp>

namespace kaio::inline KAIO_BUILD {

// It stays where it is. `Loop` is a basic_loop. Declare what the tasks use before the group, and the group after the
// loop: then its destructor finds all of it.
template <class Loop> class task_group {
public:
    // At most `limit` of its tasks run at once (0 counts as 1). Others begin in the order in which they were spawned.
    explicit task_group(Loop& io_loop, std::size_t limit = static_cast<std::size_t>(-1)) noexcept
        : loop_(io_loop), state_(limit == 0 ? 1 : limit) {}
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    // If tasks have not finished, because an exception came before the wait, it runs the loop until they have, as
    // sync_wait does. So what they use stays until then, but what they wait for must not be the coroutine that destroys
    // the group, or it waits forever. What the tasks threw is dropped. What a handler throws meanwhile leaves poll or
    // run later. In a forked child it waits for nothing: the tasks are the parent's.
    ~task_group() {
        if (state_.members != 0) [[unlikely]]
            finish();
    }

    // Starts the task now, if it is its turn. It runs on the caller's stack until it first suspends, and from then on
    // inside poll and run. The loop counts it: run returns only when it has finished. What it returns is dropped, and
    // must not be a result that may be an error. A task of the group may spawn others, also while a coroutine waits.
    // Allocates: one frame beside the task's. Errors: throws std::bad_alloc, and then the task does not run.
    template <class T> void spawn(task<T> task) {
        static_assert(!detail::can_fail<T>,
                      "kaio: a group drops what its tasks return, and this may be an error: let a "
                      "task<> look at it");
        loop_.inside([&] { detail::run_in_group(loop_, state_, std::move(task)); });
    }

    // Tasks that were spawned and have not finished, those included that have not begun.
    std::size_t size() const noexcept { return state_.members; }

    // `co_await` of it returns when all tasks have finished, and throws the first exception that any of them threw. An
    // exception keeps no other task from running. The group can be used again then. One coroutine at a time waits.
    // Allocates: nothing.
    [[nodiscard("kaio: a group waits only when that is awaited: co_await group.wait()")]] auto wait() noexcept {
        return waiting(state_);
    }

private:
    class waiting final : public detail::wait_node {
    public:
        explicit waiting(detail::group_state& state) noexcept : state_(state) {}
        bool await_ready() const noexcept { return state_.members == 0; }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            if (!state_.waiter.empty()) [[unlikely]]
                detail::end_program("kaio: two coroutines wait for one group of tasks\n");
            state_.waiter.push(*this, coroutine);
        }
        void await_resume() const { std::exchange(state_.thrown, detail::first_exception()).rethrow(); }

    private:
        detail::group_state& state_;
    };

    [[gnu::__cold__, gnu::__noinline__]] void finish() noexcept {
        if (!state_.waiter.empty())
            detail::end_program("kaio: a group of tasks was destroyed while a coroutine waits for it\n");
        detail::first_exception thrown; // by handlers
        bool runs = true;
        while (state_.members != 0 && runs) thrown.guard([&] { runs = static_cast<bool>(loop_.try_run_one()); });
        if (thrown)
            loop_.submit(after(duration::zero()), [thrown](io_result r) {
                if (r) thrown.rethrow(); // not in the loop's destructor, which cancels this timer
            });
    }

    Loop& loop_;
    detail::group_state state_;
};
template <class Loop> task_group(Loop&) -> task_group<Loop>;
template <class Loop> task_group(Loop&, std::size_t) -> task_group<Loop>;

} // namespace kaio
