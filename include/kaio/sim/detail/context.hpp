// context: the kernel's half of one simulated AIO context. It has a ring in memory as io_setup maps it, which kaio's
// own completion_ring reads. The ring's address is the context's id. One thread at a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstddef>
#include <memory>
#include <new>

#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::sim::detail {

class context {
public:
    // Room for exactly `capacity` requests. Linux makes room for more, which is not to be relied on.
    explicit context(unsigned capacity)
        : capacity_(capacity), nr_(capacity + 1), memory_(std::make_unique<io_event[]>(std::size_t{nr_} + 1)),
          ring_(::new(memory_.get()) aio_ring{0, nr_, 0, 0, aio_ring_magic, 1, 0, sizeof(aio_ring)}) {}
    context(const context&) = delete;
    context& operator=(const context&) = delete;

    aio_context_id id() const noexcept { return reinterpret_cast<aio_context_id>(ring_); }

    // True if there is no room for one request more. As on Linux, a request has its room until its event is taken.
    bool full() const noexcept { return running + finished() >= capacity_; }

    // The number of events in the ring. User space may have written anything to the head: a bad one reads as no events.
    unsigned finished() const noexcept {
        unsigned const head = __atomic_load_n(&ring_->head, __ATOMIC_ACQUIRE), tail = ring_->tail;
        if (head >= nr_) return 0;
        return tail >= head ? tail - head : tail + nr_ - head;
    }

    // Puts an event into the ring. REQUIRES: its request was let in when the context was not full.
    void post(const io_event& event) noexcept {
        unsigned const tail = ring_->tail;
        entries()[tail] = event;
        __atomic_store_n(&ring_->tail, tail + 1 == nr_ ? 0 : tail + 1, __ATOMIC_RELEASE);
    }

    // Takes at most `max` events out of the ring, as io_getevents does, and returns their number.
    unsigned take(io_event* events, unsigned max) noexcept {
        unsigned const there = finished(), count = there < max ? there : max;
        unsigned head = ring_->head;
        for (unsigned i = 0; i < count; ++i) {
            events[i] = entries()[head];
            if (++head == nr_) head = 0;
        }
        if (count != 0) __atomic_store_n(&ring_->head, head, __ATOMIC_RELEASE);
        return count;
    }

    unsigned running = 0; // requests in flight whose events are not in the ring yet
    bool dead = false;    // the power has failed since it was made

private:
    static_assert(sizeof(aio_ring) == sizeof(io_event));
    io_event* entries() const noexcept { return memory_.get() + 1; }

    unsigned capacity_, nr_;             // nr_: slots in the ring, one of which stays empty
    std::unique_ptr<io_event[]> memory_; // the header, then the slots
    aio_ring* ring_;
};

} // namespace kaio::sim::detail
