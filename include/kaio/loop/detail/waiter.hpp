// waiter: how a loop waits for something to complete. It spins for as long as that pays, and then sleeps in the kernel.
//
//     awake            ──► about to sleep     the mailbox listens: from here on a post wakes the loop
//     awake            ──► awake              something was posted just now
//     about to sleep   ──► asleep             io_getevents finds no event
//     about to sleep   ──► awake              io_getevents finds an event
//     asleep           ──► awake              something completes, somebody posts, a signal, the deadline
//
// It belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>

#include <signal.h>

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/detail/mailbox.hpp>
#include <kaio/loop/detail/spin_budget.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <kernel Kernel> class waiter {
public:
    explicit waiter(duration spin_limit) noexcept : budget_(spin_limit) {}

    // True if the loop may never sleep.
    bool always_spins() const noexcept { return budget_.is_unlimited(); }

    // Waits for an event, a post or the deadline (in the kernel's time). Returns the number of events that it put into
    // `events`: 0 if spinning ended the wait. Tells the observer of the system call.
    // Errors: those of io_getevents. System calls: none if spinning ends the wait, else one io_getevents.
    template <class Observer>
    result<unsigned> wait(basic_context<Kernel>& context, mailbox<Kernel>& mailbox, view<io_event> events,
                          std::int64_t deadline, const sigset_t* mask, [[maybe_unused]] Observer& observer) noexcept {
        bool const in_flight = context.in_flight() != 0;
        std::int64_t const began = context.get_kernel().now();
        if (in_flight) budget_.wait_begins(began, context.reaped());
        if (spin(context, mailbox, began, deadline, in_flight)) return 0u;
        duration limit;
        if (deadline != duration::unlimited) {
            std::int64_t const now = context.get_kernel().now();
            if (now >= deadline) return 0u;
            limit = duration::from_ns(deadline - now);
        }
        if (!mailbox.listen(context)) return 0u;
        if constexpr (requires { observer.on_wait(); }) observer.on_wait();
        result<unsigned> const count = context.wait(events, 1, mailbox.bounded(limit), mask);
        mailbox.stop_listening(context);
        if (count && in_flight) budget_.slept(context.get_kernel().now() - began);
        return count;
    }

private:
    // Looks at the ring and the mailbox for as long as the budget says. Returns true if something came.
    bool spin(const basic_context<Kernel>& context, const mailbox<Kernel>& mailbox, std::int64_t began,
              std::int64_t deadline, bool in_flight) noexcept {
        if (!always_spins() && !(in_flight && context.uses_ring() && budget_.ns() != 0)) return false;
        std::int64_t const end = budget_.ns() < deadline - began ? began + budget_.ns() : deadline;
        do {
            for (int looks = 16; looks != 0; --looks) { // reading the clock takes longer than a look
                if (context.has_completions() || mailbox.has_posts()) return true;
                context.get_kernel().relax();
            }
        } while (end == duration::unlimited || context.get_kernel().now() < end);
        return false;
    }

    spin_budget budget_;
};

} // namespace kaio::detail
