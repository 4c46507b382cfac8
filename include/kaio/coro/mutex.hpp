// mutex: one coroutine at a time has it. The others wait, first in, first out.
//     kaio::mutex append;
//     auto const held = co_await append.lock(); // unlocks at the end of the scope
//     co_await write_record(log, record);       // no other record is written meanwhile
// It orders what coroutines of one thread do between their awaits; between two awaits nothing needs it. One thread.
// docs/decisions/resuming-who-waits.md says how coroutines are resumed.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <utility>

#include <kaio/coro/detail/resumptions.hpp>
#include <kaio/coro/detail/wait_queue.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD {

class mutex;

// Has a mutex, or none. It can be moved, not copied, and unlocks the mutex when it is destroyed.
class [[nodiscard("kaio: a mutex is unlocked when its guard is destroyed: keep the guard")]] mutex_guard {
public:
    // No mutex, as after moving from it.
    mutex_guard() noexcept = default;
    mutex_guard(mutex_guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    // Unlocks what was held before.
    mutex_guard& operator=(mutex_guard&& other) noexcept {
        mutex_guard moved(std::move(other));
        mutex_ = std::exchange(moved.mutex_, mutex_);
        return *this;
    }
    mutex_guard(const mutex_guard&) = delete;
    mutex_guard& operator=(const mutex_guard&) = delete;
    // A coroutine that throws where this resumes it ends the program. A task does not throw there.
    ~mutex_guard() { unlock(); }

    // True if it holds the mutex: not after unlock() or moving from it.
    explicit operator bool() const noexcept { return mutex_ != nullptr; }

    // Unlocks now, and resumes the coroutine that waits next, on the caller's stack. Without a mutex it does nothing.
    // Called by one that is resumed so, it only lets more be resumed afterwards.
    inline void unlock();

private:
    friend class mutex;
    explicit mutex_guard(mutex& held) noexcept : mutex_(&held) {}

    mutex* mutex_ = nullptr;
};

// It stays where it is. Nobody gets it before those that wait already. A coroutine that is destroyed while it waits no
// longer does. Destroying the mutex while it is locked ends the program with a message. A coroutine that locks it twice
// waits forever. Allocates: nothing. System calls: none.
class mutex {
public:
    mutex() noexcept = default;
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;
    ~mutex() {
        if (locked_ || !waiters_.empty()) [[unlikely]]
            detail::end_program("kaio: a mutex was destroyed while it is locked\n");
    }

    // True if a coroutine holds it, or it is on its way to one that waits.
    bool is_locked() const noexcept { return locked_; }

    // Returns a guard that has the mutex, or false if another has it or waits for it.
    mutex_guard try_lock() noexcept {
        if (locked_ || !waiters_.empty()) return mutex_guard();
        locked_ = true;
        return mutex_guard(*this);
    }

    // `co_await` of it returns a mutex_guard that has the mutex.
    [[nodiscard("kaio: nothing is locked until it is awaited: co_await mutex.lock()")]] auto lock() noexcept {
        return locking(*this);
    }

private:
    friend class mutex_guard;

    class locking final : public detail::wait_node {
    public:
        explicit locking(mutex& wanted) noexcept : mutex_(wanted) {}
        bool await_ready() const noexcept {
            if (mutex_.locked_ || !mutex_.waiters_.empty()) return false;
            mutex_.locked_ = true;
            return true;
        }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            mutex_.waiters_.push(*this, coroutine);
        }
        mutex_guard await_resume() const noexcept { return mutex_guard(mutex_); }

    private:
        mutex& mutex_;
    };

    void unlock() {
        locked_ = false;
        if (waiters_.empty()) return;
        resumptions_.run([this]() noexcept -> detail::wait_node* {
            if (locked_ || waiters_.empty()) return nullptr;
            locked_ = true;
            return waiters_.pop();
        });
    }

    detail::wait_queue waiters_{}; // if not empty: it is locked, or unlock is resuming them
    detail::resumptions resumptions_{};
    bool locked_ = false;
};

void mutex_guard::unlock() {
    if (mutex_) std::exchange(mutex_, nullptr)->unlock();
}

} // namespace kaio
