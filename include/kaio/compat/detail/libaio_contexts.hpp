// What compat/libaio.hpp knows of contexts. An io_context_t is the kernel's own number, because programs look at the
// ring through it (QEMU, fio) or give it to the kernel themselves (MariaDB). So what kaio adds is found by that number.
//     if (libaio_use const context(number); context) context->wait_once(events);
//     else linux_kernel::io_getevents(number, …); // a context that kaio has not made
// Any thread. add() allocates once for each context that exists at a time, and nothing is freed.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

#include <kaio/io/shared_context.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

// A kernel for a context that io_setup has made already, and that is never stopped.
struct libaio_kernel : linux_kernel {
    aio_context_id made;

    int io_setup(unsigned, aio_context_id* id) const noexcept {
        *id = made;
        return 0;
    }
    static void keep_from_children(void*, std::size_t) noexcept {} // a child may look at the ring, too
    static int open_waker() noexcept { return 0; }                 // stop() is not called
    static void close_waker(int) noexcept {}
};
using libaio_context = basic_shared_context<libaio_kernel>;

// A place for a context, and then for another one whose number has the same hash. It stays where it is forever, so that
// a thread may look at it that comes late.
struct libaio_place {
    static constexpr aio_context_id free = 0, taken = 1; // no context has these numbers

    libaio_place() noexcept {}
    libaio_place(const libaio_place&) = delete;
    libaio_place& operator=(const libaio_place&) = delete;
    ~libaio_place() {}

    aio_context_id number = taken; // free, taken, or that of the context
    unsigned users = 0;            // threads that use the context, and 1 until io_destroy; 0: there is no context
    libaio_place* next = nullptr;  // never changes once the place is in its list
    union {
        libaio_context context; // alive while users is not 0
    };

    // False if there is no context.
    bool enter() noexcept {
        unsigned count = __atomic_load_n(&users, __ATOMIC_RELAXED);
        while (count != 0)
            if (__atomic_compare_exchange_n(&users, &count, count + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                return true;
        return false;
    }
    void leave() noexcept {
        if (__atomic_sub_fetch(&users, 1, __ATOMIC_ACQ_REL) != 0) return;
        context.~libaio_context();
        __atomic_store_n(&number, free, __ATOMIC_RELEASE);
    }
};

// The places, in lists by the hash of the number, to which places are only added. Shared objects have them together,
// whatever their visibility, so that one may use a context that another has made. Only if Clang has built them and
// dlopen loads them, each has its own.
[[gnu::visibility("default")]] inline libaio_place* libaio_places[64];

inline libaio_place** libaio_list(aio_context_id number) noexcept { return &libaio_places[number >> 12 & 63]; }

// A thread's use of a context, which is not destroyed meanwhile. False if kaio does not have it: another process made it,
// or a system call, or it was destroyed. Then the kernel decides.
class libaio_use {
public:
    explicit libaio_use(aio_context_id number) noexcept
        : place_(__atomic_load_n(libaio_list(number), __ATOMIC_ACQUIRE)) {
        for (; place_; place_ = place_->next) {
            if (!has(number) || !place_->enter()) continue;
            if (has(number) && place_->context.usable()) return; // it still has it
            place_->leave();
        }
    }
    libaio_use(const libaio_use&) = delete;
    libaio_use& operator=(const libaio_use&) = delete;
    ~libaio_use() {
        if (place_) place_->leave();
    }

    explicit operator bool() const noexcept { return place_ != nullptr; }
    libaio_context* operator->() const noexcept { return &place_->context; }

    // io_destroy for a context that is there: the last user removes it.
    bool end() const noexcept {
        if (!place_->context.end()) return false; // another thread was first
        place_->leave();
        return true;
    }

    // Remembers a context that io_setup has just made. Without memory for that, it is left to the kernel.
    static void add(aio_context_id number, unsigned capacity) noexcept {
        forget(number);
        libaio_place* const place = new_place(number);
        if (!place) return;
        if (auto made = libaio_context::try_make(capacity, {}, libaio_kernel{{}, number})) {
            ::new (&place->context) libaio_context(std::move(*made));
            __atomic_store_n(&place->users, 1u, __ATOMIC_RELEASE);
            __atomic_store_n(&place->number, number, __ATOMIC_RELEASE);
        } else {
            __atomic_store_n(&place->number, libaio_place::free, __ATOMIC_RELEASE);
        }
    }

private:
    bool has(aio_context_id number) const noexcept {
        return __atomic_load_n(&place_->number, __ATOMIC_ACQUIRE) == number;
    }

    // The kernel uses a number again. Whatever had it was destroyed by a system call, or its ring was moved.
    static void forget(aio_context_id number) noexcept {
        for (;;) {
            libaio_use const old(number);
            if (!old) return;
            __atomic_store_n(&old.place_->number, libaio_place::taken, __ATOMIC_RELAXED);
        }
    }

    static libaio_place* new_place(aio_context_id number) noexcept {
        libaio_place** const list = libaio_list(number);
        libaio_place* first = __atomic_load_n(list, __ATOMIC_ACQUIRE);
        for (libaio_place* place = first; place; place = place->next) {
            aio_context_id found = libaio_place::free;
            if (__atomic_compare_exchange_n(&place->number, &found, libaio_place::taken, false, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED))
                return place;
        }
        void* const memory = std::malloc(sizeof(libaio_place));
        if (!memory) return nullptr;
        auto* const place = ::new (memory) libaio_place;
        do {
            place->next = first;
        } while (!__atomic_compare_exchange_n(list, &first, place, true, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
        return place;
    }

    libaio_place* place_;
};

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
