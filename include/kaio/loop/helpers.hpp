// helpers: threads that do for loops what would block. A loop that is made with helpers is never stuck in a call, on any
// file system, with buffered files too:
//     kaio::helpers helpers(2);        // declared before the loops that share them
//     kaio::loop loop(128, helpers);
//     loop.submit(kaio::read(buffered_file, buffer, 0), handler);
// The loop's thread submits each request with RWF_NOWAIT. If the kernel says that it would block, a helper
// submits it, to the same context, and its completion comes to the loop as any other does. Buffers, results and errors
// are the same with and without helpers. But a descriptor must stay open until its requests have completed, and of
// requests to one pipe or socket there should be one at a time, because a helper may be overtaken.
// One case is known where a loop is stuck all the same: ext4 on a disk that does not answer, on Linux 6.12 and before.
// docs/decisions/helpers.md says how it works, what it costs, and what it does not do.
#pragma once

#include <climits>
#include <new>

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/loop/detail/helper_detour.hpp>
#include <kaio/loop/detail/inbox.hpp>
#include <kaio/loop/loop.hpp>
#include <kaio/sys/helper_team.hpp>
#include <kaio/sys/kernel.hpp>
#include <kaio/sys/process.hpp>

namespace kaio::inline KAIO_BUILD {

// A number of threads, which are started when first needed and end with this. One is enough where requests block in
// turn, such as writes that extend one file. A helper is busy as long as its request blocks: with N of them N files, or
// N reads, may block at a time, and what comes after that waits. All signals are blocked in them.
// Where a thread can't be started, those that run do all the work. If there is none, the loop's thread does it, and may
// block.
class helpers final : public helper_team {
public:
    // `threads`: 1 or more. Allocates: once. Never fails: without memory there is no thread, see above.
    explicit helpers(unsigned threads = 1) noexcept
        : threads_(new(std::nothrow) pthread_t[threads]), most_(threads_ ? threads : 0) {
        ::pthread_mutex_init(&mutex_, nullptr);
        ::pthread_cond_init(&ended_, nullptr);
    }
    helpers(const helpers&) = delete;
    helpers& operator=(const helpers&) = delete;

    // Waits for what the threads are doing, and ends them. In a forked child it does nothing.
    // REQUIRES: the loops that use it are destroyed
    ~helpers() {
        if (usable()) {
            __atomic_store_n(&ending_, true, __ATOMIC_RELEASE);
            __atomic_add_fetch(&signals_, 1, __ATOMIC_SEQ_CST);
            wake(INT_MAX);
            for (unsigned i = 0; i < started_; ++i) ::pthread_join(threads_[i], nullptr);
            ::pthread_cond_destroy(&ended_);
            ::pthread_mutex_destroy(&mutex_);
        }
        if (process_) free_process_mark(process_);
        delete[] threads_;
    }

    bool start(helper_job& job) noexcept override {
        if (!has_threads() && !start_first_thread()) return false;
        __atomic_add_fetch(&job.starts, 1, __ATOMIC_RELAXED);
        unsigned const waiting = __atomic_add_fetch(&waiting_, 1, __ATOMIC_SEQ_CST);
        (void)arrived_.push(job);
        __atomic_add_fetch(&signals_, 1, __ATOMIC_SEQ_CST);
        if (waiting > __atomic_load_n(&looking_, __ATOMIC_SEQ_CST)) wake(1);
        start_threads();
        return true;
    }

    void wait_for(helper_job& job) noexcept override {
        ::pthread_mutex_lock(&mutex_);
        while (__atomic_load_n(&job.starts, __ATOMIC_ACQUIRE) != 0) ::pthread_cond_wait(&ended_, &mutex_);
        ::pthread_mutex_unlock(&mutex_);
    }

    unsigned size() const noexcept override { return most_ != 0 ? most_ : 1; }

    bool usable() const noexcept override {
        return process_ && __atomic_load_n(process_, __ATOMIC_RELAXED) == mark_of_process;
    }

private:
    bool has_threads() const noexcept { return __atomic_load_n(&started_, __ATOMIC_RELAXED) != 0; }

    // Any thread. False: no thread can be started. If another thread is just starting one, it waits for that.
    bool start_first_thread() noexcept {
        while (!has_threads()) {
            if (__atomic_exchange_n(&starting_, true, __ATOMIC_SEQ_CST)) {
                linux_kernel::relax();
                continue;
            }
            bool const there = has_threads() || start_thread();
            __atomic_store_n(&starting_, false, __ATOMIC_SEQ_CST);
            return there;
        }
        return true;
    }
    // Any thread. Starts as many as there is work for. If another thread is just starting one, it looks again
    // afterwards, and sees what this one has started.
    void start_threads() noexcept {
        while (lacks_threads() && !__atomic_exchange_n(&starting_, true, __ATOMIC_SEQ_CST)) {
            bool const started = start_thread();
            __atomic_store_n(&starting_, false, __ATOMIC_SEQ_CST);
            if (!started) return;
        }
    }
    // (One that sleeps may have been woken for a job before.)
    bool lacks_threads() const noexcept {
        return __atomic_load_n(&waiting_, __ATOMIC_SEQ_CST) >
                   __atomic_load_n(&looking_, __ATOMIC_SEQ_CST) + __atomic_load_n(&idle_, __ATOMIC_SEQ_CST) &&
               __atomic_load_n(&started_, __ATOMIC_RELAXED) < most_;
    }
    // For the thread that has set starting_. False: there are enough, or there can't be more.
    bool start_thread() noexcept {
        unsigned const count = started_;
        if (count == most_) return false;
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        __atomic_add_fetch(&looking_, 1, __ATOMIC_SEQ_CST);
        bool const started = ::pthread_create(threads_ + count, nullptr, &work, this) == 0;
        if (started)
            __atomic_store_n(&started_, count + 1, __ATOMIC_SEQ_CST);
        else
            __atomic_sub_fetch(&looking_, 1, __ATOMIC_SEQ_CST);
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return started;
    }

    void wake(int sleepers) noexcept {
        if (__atomic_load_n(&idle_, __ATOMIC_SEQ_CST) != 0)
            ::syscall(SYS_futex, &signals_, FUTEX_WAKE_PRIVATE, sleepers, nullptr, nullptr, 0);
    }

    // Until something is signalled. Returns at once if something was since signals_ was `seen`.
    void sleep(unsigned seen) noexcept {
        for (int looks = 200; looks != 0; --looks) {
            if (__atomic_load_n(&signals_, __ATOMIC_RELAXED) != seen) return;
            linux_kernel::relax();
        }
        __atomic_sub_fetch(&looking_, 1, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&idle_, 1, __ATOMIC_SEQ_CST);
        ::syscall(SYS_futex, &signals_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
        __atomic_sub_fetch(&idle_, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&looking_, 1, __ATOMIC_RELAXED);
    }

    // A thread.
    static void* work(void* team) noexcept {
        auto& self = *static_cast<helpers*>(team);
        for (;;) {
            unsigned const seen = __atomic_load_n(&self.signals_, __ATOMIC_SEQ_CST);
            if (helper_job* const job = self.take())
                self.run(*job);
            else if (__atomic_load_n(&self.ending_, __ATOMIC_ACQUIRE))
                return nullptr;
            else
                self.sleep(seen);
        }
    }
    helper_job* take() noexcept {
        ::pthread_mutex_lock(&mutex_);
        if (!ready_) ready_ = arrived_.pop_all();
        helper_job* const job = ready_;
        if (job) {
            ready_ = job->next;
            // In this order: who starts a job must not count on this thread any more.
            __atomic_sub_fetch(&looking_, 1, __ATOMIC_SEQ_CST);
            __atomic_sub_fetch(&waiting_, 1, __ATOMIC_SEQ_CST);
        }
        ::pthread_mutex_unlock(&mutex_);
        return job;
    }
    void run(helper_job& job) noexcept {
        job.run(job);
        __atomic_add_fetch(&looking_, 1, __ATOMIC_RELAXED);
        ::pthread_mutex_lock(&mutex_);
        if (__atomic_sub_fetch(&job.starts, 1, __ATOMIC_RELEASE) == 0) ::pthread_cond_broadcast(&ended_);
        ::pthread_mutex_unlock(&mutex_);
    }

    pthread_t* threads_;
    unsigned most_;
    const unsigned* process_ = make_process_mark();
    unsigned started_ = 0;                // the first so many of threads_ run
    bool starting_ = false;               // some thread is in start_thread
    bool ending_ = false;                 // the threads are to end when there is no job
    unsigned signals_ = 0;                // counts what a thread may sleep for; a futex
    unsigned waiting_ = 0;                // jobs that no thread has taken
    unsigned looking_ = 0;                // threads that have no job and do not sleep
    unsigned idle_ = 0;                   // threads that sleep
    detail::inbox<helper_job> arrived_{}; // started, by any thread
    helper_job* ready_ = nullptr;         // the same in order, guarded by mutex_ as what follows
    pthread_mutex_t mutex_{};
    pthread_cond_t ended_{}; // the last run of a job has ended
};

} // namespace kaio
