// Native AIO by hand, as a good engineer writes it with syscall(2) and <linux/aio_abi.h>. The raw engines differ in how
// they take events.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/aio_batch.hpp"

namespace bench {

struct raw_ring_memory {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    io_event events[1];
};

class raw_calls : aio_batch<iocb, io_event> {
public:
    explicit raw_calls(bench::pass& p) : aio_batch(p) {
        if (::syscall(SYS_io_setup, pass.depth(), &id_) != 0) call_failed("io_setup", errno);
    }
    ~raw_calls() { ::syscall(SYS_io_destroy, id_); }

    void prepare(std::size_t place, const op& request) noexcept {
        static constexpr unsigned short opcodes[] = {IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FSYNC};
        iocb& block = add(place);
        std::memset(&block, 0, sizeof block);
        block.aio_data = place;
        block.aio_lio_opcode = opcodes[static_cast<std::size_t>(request.action)];
        block.aio_fildes = static_cast<std::uint32_t>(pass.fd());
        block.aio_buf = request.size ? reinterpret_cast<std::uintptr_t>(request.buffer) : 0; // fsync wants 0 here
        block.aio_nbytes = request.size;
        block.aio_offset = request.offset;
    }
    void submit() {
        submit_batch([this](iocb** batch, std::size_t count) {
            long const taken = ::syscall(SYS_io_submit, id_, count, batch);
            if (taken != static_cast<long>(count)) call_failed("io_submit", taken < 0 ? errno : EAGAIN);
        });
    }

protected:
    using aio_batch::pass;

    // Takes events by the system call, which waits for the first.
    template <class Done> void get_events(Done done) {
        long const count =
            pass.waiting([this] { return ::syscall(SYS_io_getevents, id_, 1, pass.depth(), events.data(), nullptr); });
        for (long i = 0; i < count; ++i) {
            io_event const& event = events[static_cast<std::size_t>(i)];
            done(event.data, event.res);
        }
    }
    bool empty() const noexcept {
        auto const* const ring = reinterpret_cast<const raw_ring_memory*>(id_);
        return ring->head == __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
    }
    // Reads the events in the mapped ring in place. Returns false if it is empty.
    template <class Done> bool take(Done done) {
        auto* const ring = reinterpret_cast<raw_ring_memory*>(id_);
        unsigned head = ring->head;
        unsigned const tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
        if (head == tail) return false;
        unsigned const slots = ring->nr;
        do {
            io_event const& event = ring->events[head];
            done(event.data, event.res);
            if (++head == slots) head = 0;
        } while (head != tail);
        __atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
        return true;
    }

private:
    aio_context_t id_ = 0;
};

} // namespace bench
