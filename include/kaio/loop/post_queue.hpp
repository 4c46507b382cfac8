// post_queue: functions that any thread posts to a loop, and the loop's word that it sleeps, both in one atomic
// pointer, so that a post and a loop that falls asleep can't miss each other. Any thread may push; the rest is the
// loop's thread's.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>
#include <utility>


namespace kaio::inline KAIO_BUILD {

// A function on its way to a loop.
struct posted {
    posted* next;
    void (*call)(posted& self); // calls the function, and frees the memory whatever that throws
};

class post_queue {
public:
    // Any thread, lock-free. True: the loop sleeps, and it is on the caller, and nobody else, to wake it.
    [[nodiscard]] bool push(posted& post) noexcept {
        posted* old = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        do post.next = old == asleep() ? nullptr : old;
        while (!__atomic_compare_exchange_n(&head_, &old, &post, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        return old == asleep();
    }

    // Something is there to be taken. One load.
    bool full() const noexcept {
        posted* const head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        return head != nullptr && head != asleep();
    }

    // Takes all that is there, in the order in which it was pushed. REQUIRES: awake
    posted* take() noexcept {
        posted* newest = __atomic_exchange_n(&head_, nullptr, __ATOMIC_ACQUIRE);
        posted* oldest = nullptr;
        while (newest) {
            posted* const next = std::exchange(newest->next, oldest);
            oldest = std::exchange(newest, next);
        }
        return oldest;
    }

    // From now on a push says that the loop has to be woken. False: something is there, and the loop must not sleep.
    [[nodiscard]] bool fall_asleep() noexcept { return exchange(nullptr, asleep()); }

    // False: a push came meanwhile, and whoever did it is waking the loop or has done so.
    [[nodiscard]] bool awake() noexcept { return exchange(asleep(), nullptr); }

private:
    // No function lies at an odd address. A constant, and not the address of a variable: shared objects that use one
    // loop may each have such a variable.
    static posted* asleep() noexcept { return reinterpret_cast<posted*>(std::uintptr_t{1}); }
    bool exchange(posted* from, posted* to) noexcept {
        return __atomic_compare_exchange_n(&head_, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }

    posted* head_ = nullptr; // asleep(), or what was pushed, the newest first
};

} // namespace kaio
