// inbox: what any thread hands to one that takes it, and whether the taker sleeps, in one atomic pointer. So a push and
// a taker that falls asleep can't miss each other. A loop takes what is posted to it, and a helper takes requests.
//
//     head_     means                                          becomes
//     null      awake, nothing there                           an item (push), asleep (fall_asleep)
//     an item   awake, it and those behind `next` are there    a newer item (push), null (pop_all, take_back)
//     asleep    asleep, nothing there                          an item (push, and its thread wakes it), null (wake_up)
//
// Any thread may push. take_back is for the thread that pushes, if there is only one. The rest is for the taker.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>
#include <utility>

namespace kaio::inline KAIO_BUILD::detail {

// Whether the taker of a new inbox is awake.
enum class taker : std::uintptr_t { awake = 0, asleep = 1 };

// Items are linked through Item::next.
template <class Item> class inbox {
public:
    explicit inbox(taker state = taker::awake) noexcept : head_(state == taker::asleep ? asleep() : nullptr) {}

    // Lock-free. Returns true if the taker sleeps. Then the caller, and nobody else, has to wake it.
    [[nodiscard]] bool push(Item& item) noexcept { return push(item, item); }
    // The same for a chain: `newest` and what is behind its `next`, up to `oldest`.
    [[nodiscard]] bool push(Item& newest, Item& oldest) noexcept {
        Item* head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        do oldest.next = head == asleep() ? nullptr : head;
        while (!__atomic_compare_exchange_n(&head_, &head, &newest, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
        return head == asleep();
    }

    // True if something is there. One load.
    bool has_items() const noexcept {
        Item* const head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        return head != nullptr && head != asleep();
    }

    // True if the taker sleeps. One load.
    bool sleeps() const noexcept { return __atomic_load_n(&head_, __ATOMIC_ACQUIRE) == asleep(); }

    // Removes all items and returns them in the order in which they were pushed. REQUIRES: awake
    Item* pop_all() noexcept { return in_order(__atomic_exchange_n(&head_, nullptr, __ATOMIC_ACQUIRE)); }

    // The same for the only thread that pushes. The taker stays as awake as it is.
    Item* take_back() noexcept {
        Item* head = __atomic_load_n(&head_, __ATOMIC_RELAXED);
        if (head == nullptr || head == asleep() || !exchange(head, nullptr)) return nullptr;
        return in_order(head);
    }

    // From now on a push says that the taker has to be woken. Returns false if something is there: then the taker must
    // not sleep.
    [[nodiscard]] bool fall_asleep() noexcept { return exchange(nullptr, asleep()); }

    // Returns false if a push came meanwhile. Then its thread is waking the taker, or has done so.
    [[nodiscard]] bool wake_up() noexcept { return exchange(asleep(), nullptr); }

private:
    // No item lies at an odd address. It is a constant and not the address of a variable, because shared objects that
    // use one loop may each have such a variable.
    static Item* asleep() noexcept { return reinterpret_cast<Item*>(std::uintptr_t{1}); }
    bool exchange(Item* expected, Item* replacement) noexcept {
        return __atomic_compare_exchange_n(&head_, &expected, replacement, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    static Item* in_order(Item* newest) noexcept {
        Item* oldest = nullptr;
        while (newest) {
            Item* const next = std::exchange(newest->next, oldest);
            oldest = std::exchange(newest, next);
        }
        return oldest;
    }

    Item* head_; // asleep(), or what was pushed, the newest first
};

} // namespace kaio::detail
