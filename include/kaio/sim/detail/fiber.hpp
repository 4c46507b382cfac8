// fiber: a call stack beside the test's own, which can stop in the middle of a call. It is a thread, but only one
// runs at a time: resume() returns when the fiber pauses or ends. So a run does not depend on any scheduler.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>
#include <signal.h>

namespace kaio::inline KAIO_BUILD::sim::detail {

class fiber {
public:
    // `function()` runs when resume is called. It may not throw. All signals are blocked in it.
    // Errors: throws std::system_error if there is no thread.
    template <class Function> explicit fiber(Function function) {
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this, called = std::move(function)]() mutable noexcept {
            wait_until(true);
            called();
            pass(false);
        });
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    fiber(const fiber&) = delete;
    fiber& operator=(const fiber&) = delete;
    // REQUIRES: it has ended
    ~fiber() { thread_.join(); }

    // Runs the function from where it paused. REQUIRES: it has not ended
    void resume() {
        pass(true);
        wait_until(false);
    }

    // By the function: returns when it is resumed.
    void pause() {
        pass(false);
        wait_until(true);
    }

    std::int64_t owed = 0; // nanoseconds that its calls took, and that have not passed yet

private:
    void pass(bool to_fiber) {
        {
            std::lock_guard<std::mutex> const lock(mutex_);
            runs_ = to_fiber;
        }
        passed_.notify_one();
    }
    void wait_until(bool runs) {
        std::unique_lock<std::mutex> lock(mutex_);
        passed_.wait(lock, [&] { return runs_ == runs; });
    }

    std::mutex mutex_{};
    std::condition_variable passed_{};
    bool runs_ = false; // it is the fiber's turn
    std::thread thread_{};
};

} // namespace kaio::sim::detail
