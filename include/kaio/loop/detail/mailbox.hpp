// mailbox: the functions that were posted to a loop, and what wakes the loop for them. A loop that is awake looks here
// by itself, and a post makes no system call. A loop that sleeps expects one event more than its requests produce: the
// thread that posts submits a read of no bytes, which completes at once.
//
// The loop's thread keeps these states:
//     awake      It looks at the posts by itself.
//     listening  It sleeps or is about to, and a post wakes it.
//     waking     A thread has posted and is waking it. The event is due, unless the thread says that it failed.
//
//     state      call                what happened            next       the context
//     awake      listen              nothing was posted       listening  expects an event more
//     awake      listen              something was posted     awake
//     listening  listen              -                        listening
//     listening  stop_listening      nothing was posted       awake      expects it no longer
//     listening  stop_listening      something was posted     waking
//     waking     remove_wake         the event has come       awake
//     waking     listen              -                        waking
//     waking     stop_listening      the wake has failed      awake      expects it no longer
//
// `post` is for any thread. All the rest is for the loop's.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/detail/inbox.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// A function on its way to a loop.
struct posted {
    posted* next;
    void (*call)(posted& self); // calls the function, and frees the memory whatever that throws
};

template <kernel Kernel> class mailbox {
public:
    mailbox() noexcept = default;
    mailbox(mailbox&& other) noexcept : waker_(std::move(other.waker_)) {} // REQUIRES: nothing is in it

    // To be called at the end, when no thread posts any more.
    void close(basic_context<Kernel>& context) noexcept {
        if (waker_ != no_waker) context.get_kernel().close_waker(waker_);
    }

    // Any thread. See basic_loop::post. `context` is the loop's.
    template <class Function> result<void> post(basic_context<Kernel>& context, Function&& function) {
        if (int const error = open(context)) return failure(error);
        auto* const fresh = new (std::nothrow) call<std::decay_t<Function>>(std::forward<Function>(function));
        if (!fresh) return failure(ENOMEM);
        return deliver(context, *fresh);
    }
    // The same for a function that is the caller's, and not on its way yet. An error means that the loop could not be
    // woken. REQUIRES: open() has succeeded
    result<void> deliver(basic_context<Kernel>& context, posted& function) noexcept {
        // After the push the loop's thread may call the function, and destroy the loop. Only a loop that expects a wake
        // waits for that.
        bool const due = takes_over();
        return inbox_.push(function) || due ? wake(context) : result<void>();
    }
    // The same for a thread that may wait, and for whose work the loop waits: while the kernel has no room for the wake,
    // it tries again.
    void post_kept(basic_context<Kernel>& context, posted& function) noexcept {
        result<void> delivered = deliver(context, function);
        while (!delivered && delivered.error().value() == EAGAIN && takes_over()) {
            context.get_kernel().relax();
            delivered = wake(context);
        }
    }

    // Any thread. Sees to it that there is something to wake the loop with. Returns an errno, or 0. System calls: one
    // or two, the first time.
    int open(basic_context<Kernel>& context) noexcept {
        if (!context.usable()) return EINVAL;
        int found = __atomic_load_n(&waker_.get(), __ATOMIC_ACQUIRE);
        if (found != no_waker) return 0;
        int const fresh = context.get_kernel().open_waker();
        if (fresh < 0) return -fresh;
        if (!__atomic_compare_exchange_n(&waker_.get(), &found, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            context.get_kernel().close_waker(fresh); // another thread was faster
        return 0;
    }

    // True if there is a function to call.
    bool has_posts() const noexcept { return collected_ || inbox_.has_items(); }

    // Fixes which functions are called next: those that were collected before, or else those that are posted by now.
    void collect() noexcept {
        if (!collected_ && inbox_.has_items()) collected_ = inbox_.pop_all();
    }
    bool has_collected() const noexcept { return collected_ != nullptr; }

    // Calls the first of those, which may do anything.
    void call_first() {
        assert(has_collected() && "kaio: no posted function to call");
        posted& first = *std::exchange(collected_, collected_->next);
        first.call(first);
    }

    // Before the loop sleeps. From here on, until stop_listening, a post wakes the loop. Returns false if something was
    // posted: then the loop must not sleep.
    bool listen(basic_context<Kernel>& context) noexcept {
        if (state_ != wake_state::awake) return true; // the event that is due ends the sleep
        if (!inbox_.fall_asleep()) return false;
        context.expect();
        state_ = wake_state::listening;
        return true;
    }

    // After the loop has slept. May be called at any time.
    void stop_listening(basic_context<Kernel>& context) noexcept {
        if (state_ == wake_state::awake) return;
        if (state_ == wake_state::listening && !inbox_.wake_up()) {
            state_ = wake_state::waking;
            return;
        }
        if (state_ == wake_state::waking && !__atomic_exchange_n(&wake_failed_, false, __ATOMIC_ACQUIRE)) return;
        state_ = wake_state::awake;
        context.unexpect();
    }

    // The event of a wake may come.
    bool waking() const noexcept { return state_ == wake_state::waking; }

    // How long the loop may sleep where it would sleep for `limit`. In the state `waking` it does not hear of posts,
    // and the wake may yet fail, so it must not be long.
    duration bounded(duration limit) const noexcept {
        constexpr std::int64_t millisecond = 1'000'000;
        return waking() && limit.ns() > millisecond ? duration::from_ns(millisecond) : limit;
    }

    // Removes the event that woke the loop, which is no request's. Returns the other events.
    view<io_event> remove_wake(view<io_event> events) noexcept {
        for (io_event& event : events)
            if (event.request() == &wake_block_) {
                state_ = wake_state::awake;
                auto const behind = static_cast<std::size_t>(events.end() - &event - 1);
                __builtin_memmove(&event, &event + 1, behind * sizeof(io_event));
                return events.first(events.size() - 1);
            }
        return events;
    }

    // A wake adds 1 to this eventfd too. -1: to none.
    void set_eventfd(int eventfd) noexcept { eventfd_ = eventfd; }

private:
    static constexpr int no_waker = -1;
    enum class wake_state : unsigned char { awake, listening, waking };

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

    // Any thread. True: the thread that had to wake the loop could not, and now the caller has to try.
    bool takes_over() noexcept {
        return __atomic_load_n(&wake_failed_, __ATOMIC_RELAXED) &&
               __atomic_exchange_n(&wake_failed_, false, __ATOMIC_ACQ_REL);
    }

    // For the thread whose push found the loop asleep, or that takes over from it. There is one such thread at a time
    // until its event has been seen.
    result<void> wake(basic_context<Kernel>& context) noexcept {
        wake_block_ = {};
        wake_block_.aio_lio_opcode = static_cast<std::uint16_t>(opcode::pread);
        wake_block_.aio_fildes = static_cast<std::uint32_t>(__atomic_load_n(&waker_.get(), __ATOMIC_RELAXED));
        if (eventfd_ >= 0) {
            wake_block_.aio_flags = iocb_flag_resfd;
            wake_block_.aio_resfd = static_cast<std::uint32_t>(eventfd_);
        }
        iocb* batch[] = {&wake_block_};
        submission const woken = context.submit_expected(batch);
        if (woken) return {};
        __atomic_store_n(&wake_failed_, true, __ATOMIC_RELEASE);
        return failure(woken.error_number());
    }

    inbox<posted> inbox_{};
    posted* collected_ = nullptr;          // not called yet, in order
    reset_on_move<int, no_waker> waker_{}; // what a wake reads from, once there is one; any thread sets it
    int eventfd_ = -1;                     // of the notifier
    wake_state state_ = wake_state::awake; // the loop's thread's
    bool wake_failed_ = false;             // the event that is due will not come; any thread sets it
    iocb wake_block_{};                    // of the thread that is waking the loop
};

} // namespace kaio::detail
