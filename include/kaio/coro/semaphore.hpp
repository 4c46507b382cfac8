// semaphore: a number of permits. Coroutines wait for one, first in, first out.
//     kaio::semaphore uploads(4);
//     co_await uploads.acquire(); // four at once
//     co_await upload(part);
//     uploads.release();
// One thread. docs/decisions/resuming-who-waits.md says how coroutines are resumed.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <cstddef>

#include <kaio/coro/detail/resumptions.hpp>
#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD {

// It stays where it is. Nobody gets a permit before those that wait already. A coroutine that is destroyed while it
// waits no longer does, and takes no permit. Destroying the semaphore while a coroutine waits ends the program with a
// message. Allocates: nothing. System calls: none.
class semaphore {
public:
    // With so many permits.
    explicit semaphore(std::size_t permits) noexcept : permits_(permits) {}
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;
    ~semaphore() {
        if (!waiters_.empty()) [[unlikely]]
            detail::end_program("kaio: a semaphore was destroyed while coroutines wait for it\n");
    }

    // Permits that can be had without waiting.
    std::size_t available() const noexcept { return waiters_.empty() ? permits_ : 0; }

    // Takes a permit if there is one that nobody waits for, and returns whether.
    [[nodiscard]] bool try_acquire() noexcept {
        if (available() == 0) return false;
        --permits_;
        return true;
    }

    // `co_await` of it takes a permit, and returns nothing. The coroutine must return the permit with release, also
    // after an exception.
    [[nodiscard("kaio: nothing is acquired until it is awaited: co_await semaphore.acquire()")]] auto
    acquire() noexcept {
        return acquisition(*this);
    }

    // Returns `permits` permits, or adds more than there were. Resumes coroutines that wait for them, on the caller's
    // stack. If one of those calls it, more are resumed afterwards. The semaphore may be gone when
    // it returns, if one of them destroys it. Errors: throws what the resumption of a coroutine throws (of a task:
    // nothing).
    void release(std::size_t permits = 1) {
        assert(permits <= static_cast<std::size_t>(-1) - permits_ && "kaio: a semaphore has too many permits");
        permits_ += permits;
        if (waiters_.empty()) return;
        resumptions_.run([this]() noexcept -> detail::wait_node* {
            if (permits_ == 0 || waiters_.empty()) return nullptr;
            --permits_;
            return waiters_.pop();
        });
    }

private:
    class acquisition : public detail::wait_node {
    public:
        explicit acquisition(semaphore& from) noexcept : semaphore_(from) {}
        bool await_ready() const noexcept { return semaphore_.try_acquire(); }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            semaphore_.waiters_.push(*this, coroutine);
        }
        void await_resume() const noexcept {}

    private:
        semaphore& semaphore_;
    };

    std::size_t permits_;
    detail::wait_queue waiters_{}; // if not empty: there is no permit, or release is resuming them
    detail::resumptions resumptions_{};
};

} // namespace kaio
