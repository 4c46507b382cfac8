// completion_ring: takes finished events out of the ring that io_setup mapped into the process, with no system call.
// One consumer at a time: the thread that takes must be the only one, io_getevents included. It owns nothing: the ring
// lives as long as its context. The facts it rests on were read in fs/aio.c and have held since Linux 3.18.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD {

class completion_ring {
public:
    // A ring that is never trusted.
    completion_ring() noexcept = default;

    // The ring of the context `id`, trusted only if it looks as Linux makes it. gVisor, for one, maps a zeroed page.
    explicit completion_ring(aio_context_id id) noexcept {
        auto* ring = reinterpret_cast<aio_ring*>(id);
        if (ring->magic == aio_ring_magic && ring->incompat_features == 0 && ring->header_length == sizeof(aio_ring) &&
            ring->nr >= 2) {
            ring_ = ring;
            nr_ = ring->nr; // a private copy: what other code may write to the shared one can't lead us astray
        }
    }

    // False: take events by io_getevents instead. Once false, false for ever.
    bool trusted() const noexcept { return ring_ != nullptr; }

    // The whole mapping, header included, in bytes.
    std::size_t mapped_size() const noexcept { return sizeof(aio_ring) + std::size_t{nr_} * sizeof(io_event); }

    // True if an event is there, or if the ring makes no sense and only `take` can tell. About a nanosecond.
    // REQUIRES: trusted()
    bool has_events() const noexcept {
        return __atomic_load_n(&ring_->head, __ATOMIC_RELAXED) != __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);
    }

    // How many events are there: 0 to nr - 1, or a larger number if the ring makes no sense. REQUIRES: trusted()
    unsigned available() const noexcept {
        unsigned const head = __atomic_load_n(&ring_->head, __ATOMIC_RELAXED);
        unsigned const tail = __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);
        if (head >= nr_ || tail >= nr_) return ~0u;
        return tail >= head ? tail - head : tail + nr_ - head;
    }

    // Copies up to `max` events to `out`, oldest first, frees their slots, and returns how many. `announced()` returns
    // how many events there can be at most. It is called after the tail was read, so that another thread may announce
    // and submit requests meanwhile. If the ring shows more events (RHEL 7 once delivered events twice), or its indices
    // are out of range, it is never trusted again and the result is 0. No system call, no allocation.
    // REQUIRES: trusted()
    template <class Announced> unsigned take(io_event* out, unsigned max, Announced announced) noexcept {
        // Relaxed: nobody else writes head while we are the consumer.
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
        const io_event* events = static_cast<const io_event*>(static_cast<const void*>(ring_ + 1));
        std::memcpy(out, events + head, first * sizeof(io_event));
        if (first != count) [[unlikely]]
            std::memcpy(out + first, events, (count - first) * sizeof(io_event));

        unsigned const next = head + count;
        // Release: the kernel may fill these slots again as soon as it sees the new head.
        __atomic_store_n(&ring_->head, next >= nr_ ? next - nr_ : next, __ATOMIC_RELEASE);
        return count;
    }

private:
    unsigned distrust() noexcept {
        ring_ = nullptr;
        return 0;
    }

    aio_ring* ring_ = nullptr; // null: not trusted
    unsigned nr_ = 0;
};

} // namespace kaio
