// A kernel that completes each request inside io_submit, and whose ring is ordinary memory. The time of a loop on it is
// the loop's own.
#pragma once

#include <cstring>
#include <new>

#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>

namespace micro {

struct instant_kernel : kaio::linux_kernel {
    static int io_setup(unsigned events, kaio::aio_context_id* id) noexcept {
        std::size_t const size = sizeof(kaio::aio_ring) + (events + 1) * sizeof(kaio::io_event);
        void* const memory = ::operator new(size, std::nothrow);
        if (!memory) return -ENOMEM;
        std::memset(memory, 0, size);
        auto* const ring = static_cast<kaio::aio_ring*>(memory);
        ring->nr = events + 1;
        ring->magic = kaio::aio_ring_magic;
        ring->compat_features = 1;
        ring->header_length = sizeof(kaio::aio_ring);
        *id = reinterpret_cast<kaio::aio_context_id>(ring);
        return 0;
    }
    static int io_destroy(kaio::aio_context_id id) noexcept {
        ::operator delete(reinterpret_cast<void*>(id));
        return 0;
    }
    static long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) noexcept {
        auto* const ring = reinterpret_cast<kaio::aio_ring*>(id);
        auto* const events = reinterpret_cast<kaio::io_event*>(ring + 1);
        unsigned tail = ring->tail;
        for (long i = 0; i < count; ++i) {
            events[tail] = {batch[i]->aio_data, reinterpret_cast<std::uintptr_t>(batch[i]),
                            static_cast<std::int64_t>(batch[i]->aio_nbytes), 0};
            if (++tail == ring->nr) tail = 0;
        }
        ring->tail = tail;
        return count;
    }
    static void keep_from_children(void*, std::size_t) noexcept {}
};

} // namespace micro
