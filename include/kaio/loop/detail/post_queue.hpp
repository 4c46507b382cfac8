// post_queue: the functions that any thread posts to a loop, and whether the loop sleeps, in one atomic pointer. So a
// post and a loop that falls asleep can't miss each other.
//
//     head_     means                                          becomes
//     null      awake, nothing posted                          a post (push), asleep (fall_asleep)
//     a post    awake, it and those behind `next` are there    a newer post (push), null (pop_all)
//     asleep    asleep, nothing posted                         a post (push, and its thread wakes it), null (wake_up)
//
// Any thread may push. The rest is for the loop's thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>
#include <utility>

namespace kaio::inline KAIO_BUILD::detail {

// A function on its way to a loop.
struct posted {
    posted* next;
    void (*call)(posted& self); // calls the function, and frees the memory whatever that throws
};

class post_queue {
public:
    // Lock-free. Returns true if the loop sleeps. Then the caller, and nobody else, has to wake it.
    [[nodiscard]] bool push(posted& post) noexcept {
        posted* head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        do post.next = head == asleep() ? nullptr : head;
        while (!__atomic_compare_exchange_n(&head_, &head, &post, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        return head == asleep();
    }

    // True if something was posted. One load.
    bool has_posts() const noexcept {
        posted* const head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        return head != nullptr && head != asleep();
    }

    // Removes all posts and returns them in the order in which they were pushed. REQUIRES: awake
    posted* pop_all() noexcept {
        posted* newest = __atomic_exchange_n(&head_, nullptr, __ATOMIC_ACQUIRE);
        posted* oldest = nullptr;
        while (newest) {
            posted* const next = std::exchange(newest->next, oldest);
            oldest = std::exchange(newest, next);
        }
        return oldest;
    }

    // From now on a push says that the loop has to be woken. Returns false if something was posted: then the loop must
    // not sleep.
    [[nodiscard]] bool fall_asleep() noexcept { return exchange(nullptr, asleep()); }

    // Returns false if a push came meanwhile. Then its thread is waking the loop, or has done so.
    [[nodiscard]] bool wake_up() noexcept { return exchange(asleep(), nullptr); }

private:
    // No function lies at an odd address. It is a constant and not the address of a variable, because shared objects
    // that use one loop may each have such a variable.
    static posted* asleep() noexcept { return reinterpret_cast<posted*>(std::uintptr_t{1}); }
    bool exchange(posted* expected, posted* replacement) noexcept {
        return __atomic_compare_exchange_n(&head_, &expected, replacement, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }

    posted* head_ = nullptr; // asleep(), or what was pushed, the newest first
};

} // namespace kaio::detail
