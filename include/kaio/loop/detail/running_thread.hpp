// running_thread: which thread is inside a loop's poll or run, so that a debug build notices that another one calls the
// loop meanwhile. It is there in release builds too, because a loop has one size in all parts of a program. A loop that
// is handed from one thread to another, with a join or a lock between the two, causes no false alarm. Any thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <pthread.h>

namespace kaio::inline KAIO_BUILD::detail {

class running_thread {
public:
    // False if another thread is inside.
    bool is_this_or_none() const noexcept {
        pthread_t const inside = __atomic_load_n(&thread_, __ATOMIC_RELAXED);
        return inside == pthread_t{} || inside == ::pthread_self();
    }

    // On the stack of poll and run.
    class scope {
    public:
        explicit scope(running_thread& running) noexcept : running_(running), outer_(running.enter(::pthread_self())) {}
        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;
        ~scope() { running_.enter(outer_); }

    private:
        running_thread& running_;
        pthread_t outer_; // of the poll or run whose handler made this one
    };

private:
    // Returns who was inside before.
    pthread_t enter(pthread_t thread) noexcept {
        pthread_t const before = __atomic_load_n(&thread_, __ATOMIC_RELAXED);
        __atomic_store_n(&thread_, thread, __ATOMIC_RELAXED);
        return before;
    }

    pthread_t thread_{}; // no thread has the value 0
};

} // namespace kaio::detail
