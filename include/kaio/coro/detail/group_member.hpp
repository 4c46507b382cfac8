// run_in_group: a coroutine that runs one task of a task_group, when it is its turn, and frees its own frame at the
// end. And group_state: what the members of a group share. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <cstdlib>
#include <utility>

#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/detail/wait_queue.hpp>
#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/task.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD::detail {

class group_state {
public:
    explicit group_state(std::size_t limit) noexcept : turns(limit) {}

    semaphore turns; // a permit for each task that may run
    first_exception thrown{};
    wait_queue waiter{};     // the coroutine that waits for all, one at most
    std::size_t members = 0; // tasks that were spawned and have not finished

    // A member calls this as the last thing it does, and then resumes what this returns. The group may be gone then.
    [[nodiscard]] std::coroutine_handle<> member_finished() noexcept {
        turns.release(); // runs others, which are members: this one still counts, so none of them is the last
        if (--members != 0) return std::noop_coroutine();
        wait_node* const node = waiter.pop();
        return node ? node->coroutine() : std::noop_coroutine();
    }
};

struct group_member {
    class promise_type {
    public:
        // Only called when there was memory for the frame.
        template <class Loop, class Task> promise_type(Loop&, group_state& state, Task&) noexcept : state_(state) {
            ++state.members;
        }
        group_member get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct awaiter {
                group_state& state;
                bool await_ready() const noexcept { return false; }
                std::coroutine_handle<> await_suspend(std::coroutine_handle<> self) const noexcept {
                    group_state& group = state;
                    self.destroy(); // with this awaiter
                    return group.member_finished();
                }
                void await_resume() const noexcept {}
            };
            return awaiter{state_};
        }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::abort(); } // never: all are kept

    private:
        group_state& state_;
    };
};

// Holds the loop until the task has finished.
template <class Loop, class T> group_member run_in_group(Loop& loop, group_state& state, task<T> task) {
    loop.hold();
    co_await state.turns.acquire();
#if defined(__cpp_exceptions)
    try {
        (void)co_await std::move(task);
    } catch (...) {
        state.thrown.keep();
    }
#else
    (void)co_await std::move(task);
#endif
    loop.release();
}

} // namespace kaio::detail
KAIO_COROUTINES_END
