// semaphore: a number of permits. Coroutines wait for one or several, first in, first out.
//     kaio::semaphore uploads(4), memory(1 << 30);
//     co_await uploads.acquire();                               // four at once
//     auto const reserved = co_await memory.take(part.size()); // returned at the end of the scope
//     co_await upload(part);
//     uploads.release();
// One thread. docs/decisions/resuming-who-waits.md says how coroutines are resumed.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <cstddef>
#include <utility>

#include <kaio/coro/detail/resumptions.hpp>
#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD {

class semaphore;

// Permits of a semaphore, or none. They can be moved, not copied, and are returned when this is destroyed.
// REQUIRES: the semaphore outlives it.
class [[nodiscard("kaio: permits are returned when this is destroyed: keep it")]] semaphore_permits {
public:
    // None, as after moving from it.
    semaphore_permits() noexcept = default;
    semaphore_permits(semaphore_permits&& other) noexcept
        : semaphore_(std::exchange(other.semaphore_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    // Returns the permits that it had before.
    semaphore_permits& operator=(semaphore_permits&& other) noexcept {
        semaphore_permits moved(std::move(other));
        semaphore_ = std::exchange(moved.semaphore_, semaphore_);
        count_ = std::exchange(moved.count_, count_);
        return *this;
    }
    semaphore_permits(const semaphore_permits&) = delete;
    semaphore_permits& operator=(const semaphore_permits&) = delete;
    // A coroutine that throws where this resumes it ends the program. A task does not throw there.
    ~semaphore_permits() { release(); }

    // False: try_take got none, or they were released or moved.
    explicit operator bool() const noexcept { return semaphore_ != nullptr; }
    std::size_t count() const noexcept { return count_; }

    // Returns them now, as semaphore::release.
    inline void release();

    // Hands `permits` of them on, and keeps the rest. REQUIRES: it has as many
    semaphore_permits split(std::size_t permits) noexcept {
        assert(permits <= count_ && "kaio: permits can't be split into more than there are");
        count_ -= permits;
        return semaphore_permits(semaphore_, permits);
    }

private:
    friend semaphore;
    semaphore_permits(semaphore* of, std::size_t count) noexcept : semaphore_(of), count_(count) {}

    semaphore* semaphore_ = nullptr; // null: none
    std::size_t count_ = 0;
};

// It stays where it is. Nobody gets a permit before those that wait already: many that want one do not keep one that
// wants many from its turn. Who waits for more than there ever are waits forever, as do those behind. A coroutine that
// is destroyed while it waits, or gives up (with_timeout), takes no permit, and those behind it get their turn there.
// Destroying the semaphore while a coroutine waits ends the program with a message.
// Allocates: nothing. System calls: none.
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

    // Takes permits if there are as many and nobody waits, and returns whether. All or none.
    [[nodiscard]] bool try_acquire(std::size_t permits = 1) noexcept {
        if (!waiters_.empty() || permits > permits_) return false;
        permits_ -= permits;
        return true;
    }

    // `co_await` of it takes permits, all at once, and returns nothing. The coroutine must return them with release,
    // also after an exception.
    [[nodiscard("kaio: nothing is acquired until it is awaited: co_await semaphore.acquire()")]] auto
    acquire(std::size_t permits = 1) noexcept {
        return acquisition(*this, permits);
    }

    // The same with permits that return themselves: `co_await` of take returns semaphore_permits.
    [[nodiscard("kaio: nothing is taken until it is awaited: co_await semaphore.take()")]] auto
    take(std::size_t permits = 1) noexcept {
        return taking(*this, permits);
    }
    semaphore_permits try_take(std::size_t permits = 1) noexcept {
        return try_acquire(permits) ? semaphore_permits(this, permits) : semaphore_permits();
    }

    // Returns `permits` permits, or adds more than there were. Resumes coroutines that wait for them, on the caller's
    // stack. If one of those calls it, more are resumed afterwards. The semaphore may be gone when
    // it returns, if one of them destroys it. Errors: throws what the resumption of a coroutine throws (of a task:
    // nothing).
    void release(std::size_t permits = 1) {
        assert(permits <= static_cast<std::size_t>(-1) - permits_ && "kaio: a semaphore has too many permits");
        permits_ += permits;
        resume_waiters();
    }

private:
    class acquisition : public detail::wait_node {
    public:
        acquisition(semaphore& from, std::size_t permits) noexcept : semaphore_(from), permits_(permits) {}
        acquisition(acquisition&&) noexcept = default;
        acquisition& operator=(acquisition&&) = delete;
        // Those behind may want less than this did.
        ~acquisition() {
            if (!waits() && !left_) return;
            detail::wait_node::leave();
            semaphore_.resume_waiters();
        }

        bool await_ready() const noexcept { return semaphore_.try_acquire(permits_); }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            semaphore_.waiters_.push(*this, coroutine);
        }
        void await_resume() const noexcept {}

        // The others' turn comes when this is destroyed: here the coroutine that leaves is not resumed yet.
        void leave() noexcept {
            detail::wait_node::leave();
            left_ = true;
        }

    protected:
        semaphore& semaphore_;
        std::size_t permits_; // that it wants

    private:
        friend semaphore;

        bool left_ = false; // it has given up
    };

    class taking final : public acquisition {
    public:
        using acquisition::acquisition;
        semaphore_permits await_resume() const noexcept { return semaphore_permits(&semaphore_, permits_); }
    };

    void resume_waiters() {
        if (waiters_.empty()) return;
        resumptions_.run([this]() noexcept -> detail::wait_node* {
            if (waiters_.empty()) return nullptr;
            std::size_t const wanted = static_cast<const acquisition&>(waiters_.front()).permits_;
            if (wanted > permits_) return nullptr;
            permits_ -= wanted;
            return waiters_.pop();
        });
    }

    std::size_t permits_;
    detail::wait_queue waiters_{}; // if not empty: the first wants more than there are, or all are being resumed
    detail::resumptions resumptions_{};
};

void semaphore_permits::release() {
    std::size_t const count = std::exchange(count_, 0);
    if (semaphore_) std::exchange(semaphore_, nullptr)->release(count);
}

} // namespace kaio
