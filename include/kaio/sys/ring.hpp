// completion_ring: takes events out of the ring that io_setup maps into the process, without a system call.
//     kaio::completion_ring ring(id);
//     if (ring.trusted()) count = ring.take(events, 32, [&] { return in_flight; });
//     if (!ring.trusted()) count = io_getevents(id, 0, 32, events, &no_time);
// One thread takes, and it alone calls io_getevents. The ring owns nothing: it lives as long as its context. What is
// assumed here was read in fs/aio.c and holds since Linux 3.18.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <kaio/sys/abi.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

class completion_ring {
public:
    // A ring that is never trusted, as is one that was moved from.
    completion_ring() noexcept = default;

    // The ring of the context `id`. It is trusted only if it looks as Linux makes it: gVisor maps a page of zeros.
    explicit completion_ring(aio_context_id id) noexcept {
        auto* ring = reinterpret_cast<aio_ring*>(id);
        if (ring->magic == aio_ring_magic && ring->incompat_features == 0 && ring->header_length == sizeof(aio_ring) &&
            ring->nr >= 2) {
            ring_ = ring;
            nr_ = ring->nr;
        }
    }

    // False if events are to be taken by io_getevents instead. Once false, it is false forever.
    bool trusted() const noexcept { return ring_ != nullptr; }

    // The whole mapping in bytes, header included.
    std::size_t mapped_size() const noexcept { return sizeof(aio_ring) + std::size_t{nr_} * sizeof(io_event); }

    // True if an event is there, or if the ring makes no sense and only `take` can tell. About a nanosecond.
    // REQUIRES: trusted()
    bool has_events() const noexcept {
        assert(trusted() && "kaio: a ring was looked at that is not trusted");
        return __atomic_load_n(&ring_->head, __ATOMIC_RELAXED) != __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);
    }

    // The number of events that are there, at most nr - 1, or a larger number if the ring makes no sense.
    // REQUIRES: trusted()
    unsigned available() const noexcept {
        assert(trusted() && "kaio: a ring was looked at that is not trusted");
        unsigned const head = __atomic_load_n(&ring_->head, __ATOMIC_RELAXED);
        unsigned const tail = __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);
        if (head >= nr_ || tail >= nr_) return ~0u;
        return tail >= head ? tail - head : tail + nr_ - head;
    }

    // Copies up to `max` events to `events`, oldest first, frees their slots, and returns how many it copied.
    // `announced()` returns how many events there can be at most. It is called after the tail is read, so that another
    // thread may announce and submit requests meanwhile. A ring that shows more events is never trusted again, nor is
    // one with indices out of range: then 0 is returned. (RHEL 7 once delivered events twice.)
    // REQUIRES: trusted()
    template <class Announced> unsigned take(io_event* events, unsigned max, Announced announced) noexcept {
        assert(trusted() && "kaio: events were taken from a ring that is not trusted");
        // Relaxed: nobody else writes head.
        unsigned const head = __atomic_load_n(&ring_->head, __ATOMIC_RELAXED);
        // Acquire: pairs with the smp_wmb between the kernel's write of an event and its write of tail.
        unsigned const tail = __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);
        if (head == tail) return 0;
        if (head >= nr_ || tail >= nr_) return distrust();
        unsigned const there = tail > head ? tail - head : tail + nr_ - head;
        if (there > announced()) return distrust();

        unsigned const count = there < max ? there : max;
        unsigned const to_end = nr_ - head;
        unsigned const first = count < to_end ? count : to_end;
        const io_event* entries = static_cast<const io_event*>(static_cast<const void*>(ring_.get() + 1));
        std::memcpy(events, entries + head, first * sizeof(io_event));
        if (__builtin_expect(first != count, false))
            std::memcpy(events + first, entries, (count - first) * sizeof(io_event));

        unsigned const next = head + count;
        // Release: the kernel may fill these slots as soon as it sees the new head.
        __atomic_store_n(&ring_->head, next >= nr_ ? next - nr_ : next, __ATOMIC_RELEASE);
        return count;
    }

private:
    unsigned distrust() noexcept {
        ring_ = nullptr;
        return 0;
    }

    detail::reset_on_move<aio_ring*> ring_{}; // null: not trusted
    unsigned nr_ = 0; // slots: a private copy, because what other code writes to the shared one must not mislead us
};

} // namespace KAIO_BUILD
} // namespace kaio
