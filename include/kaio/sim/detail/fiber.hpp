// fiber: a call stack beside the test's own, which can stop in the middle of a call. It is a thread, but only one
// runs at a time: resume() returns when the fiber pauses or ends. So a run does not depend on any scheduler.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>
#include <memory>
#include <utility>

#include <pthread.h>
#include <signal.h>

#include <kaio/io/result.hpp>

namespace kaio::inline KAIO_BUILD::sim::detail {

class fiber {
public:
    // `function()` runs when resume is called. It may not throw. All signals are blocked in it.
    // Errors: throws std::system_error if there is no thread.
    template <class Function> explicit fiber(Function function) {
        ::pthread_mutex_init(&mutex_, nullptr);
        ::pthread_cond_init(&passed_, nullptr);
        auto first = std::make_unique<start<Function>>(start<Function>{*this, std::move(function)});
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        int const error = ::pthread_create(&thread_, nullptr, &run<Function>, first.get());
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (error != 0) kaio::detail::throw_error(error, "kaio: pthread_create, for a simulated helper");
        first.release(); // the thread's
    }
    fiber(const fiber&) = delete;
    fiber& operator=(const fiber&) = delete;
    // REQUIRES: it has ended
    ~fiber() {
        ::pthread_join(thread_, nullptr);
        ::pthread_cond_destroy(&passed_);
        ::pthread_mutex_destroy(&mutex_);
    }

    // Runs the function from where it paused. REQUIRES: it has not ended
    void resume() noexcept {
        pass(true);
        wait_until(false);
    }

    // By the function: returns when it is resumed.
    void pause() noexcept {
        pass(false);
        wait_until(true);
    }

    std::int64_t owed = 0; // nanoseconds that its calls took, and that have not passed yet

private:
    template <class Function> struct start {
        fiber& self;
        Function function;
    };
    template <class Function> static void* run(void* argument) noexcept {
        std::unique_ptr<start<Function>> const first(static_cast<start<Function>*>(argument));
        first->self.wait_until(true);
        first->function();
        first->self.pass(false);
        return nullptr;
    }

    void pass(bool to_fiber) noexcept {
        ::pthread_mutex_lock(&mutex_);
        runs_ = to_fiber;
        ::pthread_mutex_unlock(&mutex_);
        ::pthread_cond_signal(&passed_);
    }
    void wait_until(bool runs) noexcept {
        ::pthread_mutex_lock(&mutex_);
        while (runs_ != runs) ::pthread_cond_wait(&passed_, &mutex_);
        ::pthread_mutex_unlock(&mutex_);
    }

    pthread_mutex_t mutex_{};
    pthread_cond_t passed_{};
    bool runs_ = false; // it is the fiber's turn
    pthread_t thread_{};
};

} // namespace kaio::sim::detail
