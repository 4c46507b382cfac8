// context: the kernel's half of one simulated AIO context: a ring in memory, as io_setup would map it, that kaio's own
// completion_ring reads. Its address is the context's id.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::sim::detail {

class context {
public:
    // Room for exactly `capacity` requests: Linux gives more than was asked for, which nobody may rely on.
    explicit context(unsigned capacity)
        : capacity_(capacity), nr_(capacity + 1), memory_(std::make_unique<io_event[]>(std::size_t{nr_} + 1)),
          ring_(::new (memory_.get()) aio_ring{0, nr_, 0, 0, aio_ring_magic, 1, 0, sizeof(aio_ring)}) {}
    context(const context&) = delete;
    context& operator=(const context&) = delete;

    aio_context_id id() const noexcept { return reinterpret_cast<aio_context_id>(ring_); }

    // Requests that are neither complete nor taken out of the ring keep their room, as on Linux.
    bool full() const noexcept { return running + finished() >= capacity_; }

    // Events in the ring. User space may have moved the head anywhere; a bad one reads as an empty ring.
    unsigned finished() const noexcept {
        unsigned const head = __atomic_load_n(&ring_->head, __ATOMIC_ACQUIRE), tail = ring_->tail;
        if (head >= nr_) return 0;
        return tail >= head ? tail - head : tail + nr_ - head;
    }

    // REQUIRES: the event's request was let in when the context was not full
    void post(const io_event& event) noexcept {
        unsigned const tail = ring_->tail;
        events()[tail] = event;
        __atomic_store_n(&ring_->tail, tail + 1 == nr_ ? 0 : tail + 1, __ATOMIC_RELEASE);
    }

    // What io_getevents takes; returns how many.
    unsigned take(io_event* out, unsigned most) noexcept {
        unsigned const there = finished(), count = there < most ? there : most;
        unsigned head = ring_->head;
        for (unsigned i = 0; i < count; ++i) {
            out[i] = events()[head];
            if (++head == nr_) head = 0;
        }
        if (count != 0) __atomic_store_n(&ring_->head, head, __ATOMIC_RELEASE);
        return count;
    }

    unsigned running = 0; // requests in flight whose event is not in the ring yet
    bool dead = false;    // it was there when the power went

private:
    static_assert(sizeof(aio_ring) == sizeof(io_event));
    io_event* events() const noexcept { return memory_.get() + 1; }

    unsigned capacity_, nr_;             // nr_: slots in the ring, one of which stays empty
    std::unique_ptr<io_event[]> memory_; // the first one's place is the header's
    aio_ring* ring_;
};

} // namespace kaio::sim::detail
