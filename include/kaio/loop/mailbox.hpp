// mailbox: the functions that were posted to a loop, and what wakes the loop for them. A loop that is about to sleep
// expects one event more than its requests will give; whoever posts then submits a read of no bytes, which completes at
// once. A loop that is awake looks here by itself, and posting makes no system call.
// `post` is for any thread; all the rest is for the loop's.
#pragma once

#include <cerrno>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/post_queue.hpp>

namespace kaio::inline KAIO_BUILD {

template <kernel Kernel> class mailbox {
public:
    mailbox() noexcept = default;
    mailbox(mailbox&& other) noexcept : waker_(std::exchange(other.waker_, no_waker)) {} // REQUIRES: it is empty

    // To be called at the end, when no thread posts any more.
    void close(basic_context<Kernel>& of) noexcept {
        if (waker_ != no_waker) of.get_kernel().close_waker(waker_);
    }

    // Any thread. See basic_loop::post; `of` is the loop's context.
    template <class Function> result<void> post(basic_context<Kernel>& of, Function&& function) {
        if (int const error = find_waker(of)) return failure(error);
        auto* const fresh = new (std::nothrow) call<std::decay_t<Function>>(std::forward<Function>(function));
        if (!fresh) return failure(ENOMEM);
        return queue_.push(*fresh) || takes_over() ? wake(of) : result<void>();
    }

    // True if a function is there to be called.
    bool full() const noexcept { return opened_ || queue_.full(); }

    // Takes the functions that were posted out of other threads' reach, if those before them have been called.
    void open() noexcept {
        if (!opened_ && queue_.full()) opened_ = queue_.take();
    }
    bool opened() const noexcept { return opened_ != nullptr; }

    // Calls the first of those, which may do anything. REQUIRES: opened()
    void call_first() {
        posted& first = *std::exchange(opened_, opened_->next);
        first.call(first);
    }

    // From here on, until rouse(), a post wakes the loop. False: something was posted. While somebody is waking the
    // loop already, that event is what ends its sleep, and nothing needs to be said.
    bool doze(basic_context<Kernel>& of) noexcept {
        if (wake_due_) return true;
        if (!queue_.fall_asleep()) return false;
        of.expect();
        return true;
    }
    void rouse(basic_context<Kernel>& of) noexcept {
        if (wake_due_) {
            if (!__atomic_exchange_n(&wake_failed_, false, __ATOMIC_ACQUIRE)) return;
            wake_due_ = false;
            of.unexpect();
        } else if (queue_.awake()) {
            of.unexpect();
        } else {
            wake_due_ = true;
        }
    }

    // Somebody is waking the loop, or has done so, and the event has not been seen.
    bool wake_due() const noexcept { return wake_due_; }

    // How long to sleep, where `limit` was meant: while a wake is due the loop does not hear of posts, and the wake may
    // yet fail, so not for long.
    duration bounded(duration limit) const noexcept {
        constexpr std::int64_t millisecond = 1'000'000;
        return wake_due_ && limit.ns() > millisecond ? duration::from_ns(millisecond) : limit;
    }

    // Takes the event that woke the loop out of these, because it is no request's, and returns the others.
    view<io_event> drop_wake(view<io_event> events) noexcept {
        for (io_event& event : events)
            if (event.obj == reinterpret_cast<std::uintptr_t>(&wake_block_)) {
                wake_due_ = false;
                auto const behind = static_cast<std::size_t>(events.end() - &event - 1);
                __builtin_memmove(&event, &event + 1, behind * sizeof(io_event));
                return {events.data(), events.size() - 1};
            }
        return events;
    }

    // A wake adds 1 to this eventfd too; -1: to none.
    void notify(int eventfd) noexcept { notify_fd_ = eventfd; }

private:
    static constexpr int no_waker = -1;

    template <class Function> struct call final : posted {
        template <class F> explicit call(F&& f) : posted{nullptr, &run}, function(std::forward<F>(f)) {}

        static void run(posted& self) {
            struct owner {
                call* it;
                ~owner() { delete it; }
            } const owned{&static_cast<call&>(self)};
            owned.it->function();
        }

        Function function;
    };

    // Any thread. Returns an errno, or 0 if there is something to wake the loop with.
    int find_waker(basic_context<Kernel>& of) noexcept {
        if (!of.usable()) return EINVAL;
        int found = __atomic_load_n(&waker_, __ATOMIC_ACQUIRE);
        if (found != no_waker) return 0;
        int const fresh = of.get_kernel().open_waker();
        if (fresh < 0) return -fresh;
        if (!__atomic_compare_exchange_n(&waker_, &found, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            of.get_kernel().close_waker(fresh); // another thread was faster
        return 0;
    }

    // Any thread. True: whoever was to wake the loop could not, and now it is on the caller to try.
    bool takes_over() noexcept {
        return __atomic_load_n(&wake_failed_, __ATOMIC_RELAXED) &&
               __atomic_exchange_n(&wake_failed_, false, __ATOMIC_ACQ_REL);
    }

    // The thread whose push found the loop asleep, or that takes over from it. There is one such thread at a time,
    // until its event has been seen.
    result<void> wake(basic_context<Kernel>& of) noexcept {
        wake_block_ = {};
        wake_block_.aio_lio_opcode = static_cast<std::uint16_t>(opcode::pread);
        wake_block_.aio_fildes = static_cast<std::uint32_t>(__atomic_load_n(&waker_, __ATOMIC_RELAXED));
        if (notify_fd_ >= 0) {
            wake_block_.aio_flags = iocb_flag_resfd;
            wake_block_.aio_resfd = static_cast<std::uint32_t>(notify_fd_);
        }
        result<void> const woken = of.submit_expected(wake_block_);
        if (!woken) __atomic_store_n(&wake_failed_, true, __ATOMIC_RELEASE);
        return woken;
    }

    post_queue queue_{};
    posted* opened_ = nullptr; // taken and not called yet, in order
    int waker_ = no_waker;     // what a wake reads, once there is one
    int notify_fd_ = -1;
    bool wake_due_ = false;
    bool wake_failed_ = false; // the event that is due will not come
    iocb wake_block_{};        // of whoever is waking the loop
};

} // namespace kaio
