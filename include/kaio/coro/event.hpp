// event: coroutines wait until it is set, all at once.
//     kaio::event opened;
//     co_await opened; // in any number of coroutines
//     opened.set();    // resumes them, in the order in which they began to wait
// One thread. docs/decisions/resuming-who-waits.md says how coroutines are resumed.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <kaio/coro/detail/resumptions.hpp>
#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD {

// It stays where it is. A coroutine that is destroyed while it waits no longer does. Destroying the event while a
// coroutine waits ends the program with a message. But set() has ended the waits of all: those that it has not resumed
// yet go on although one before them destroys the event. Allocates: nothing. System calls: none.
class event {
public:
    event() noexcept = default;
    event(const event&) = delete;
    event& operator=(const event&) = delete;
    ~event() {
        if (!waiters_.empty()) [[unlikely]]
            detail::end_program("kaio: an event was destroyed while coroutines wait for it\n");
    }

    // True from set() until reset().
    bool is_set() const noexcept { return set_; }

    // Until reset, nobody waits. Resumes all that wait now, on the caller's stack, even if one of them resets the
    // event. Called by one of those, it only lets more be resumed afterwards. The event may be gone when it returns, if
    // one of them destroys it. Errors: throws what the resumption of a coroutine throws (of a task: nothing).
    void set() {
        set_ = true;
        resumptions_.ready().append(waiters_);
        resumptions_.run();
    }

    // From now on coroutines wait again.
    void reset() noexcept { set_ = false; }

    // Returns nothing.
    [[nodiscard]] auto operator co_await() noexcept { return awaiter(*this); }

private:
    class awaiter final : public detail::wait_node {
    public:
        explicit awaiter(event& awaited) noexcept : event_(awaited) {}
        bool await_ready() const noexcept { return event_.set_; }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            event_.waiters_.push(*this, coroutine);
        }
        void await_resume() const noexcept {}

    private:
        event& event_;
    };

    detail::wait_queue waiters_{};
    detail::resumptions resumptions_{};
    bool set_ = false;
};

} // namespace kaio
