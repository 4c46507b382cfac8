// Native AIO by hand, as a good engineer writes it with syscall(2) and <linux/aio_abi.h>; the raw engines differ in
// how they take events.
#pragma once

#include <cerrno>
#include <cstring>

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.hpp"

namespace bench {

struct raw_ring_memory {
    unsigned id, nr, head, tail, magic, compat, incompat, header_length;
    io_event events[1];
};

class raw_batches {
public:
    explicit raw_batches(pass& all) : all_(all), blocks_(all.depth()), batch_(all.depth()), events_(all.depth()) {
        if (::syscall(SYS_io_setup, all.depth(), &id_) != 0) call_failed("io_setup", errno);
    }
    raw_batches(const raw_batches&) = delete;
    raw_batches& operator=(const raw_batches&) = delete;
    ~raw_batches() { ::syscall(SYS_io_destroy, id_); }

    void prepare(std::size_t place, const op& of) noexcept {
        static constexpr unsigned short opcodes[] = {IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FSYNC};
        iocb& block = blocks_[place];
        std::memset(&block, 0, sizeof block);
        block.aio_data = place;
        block.aio_lio_opcode = opcodes[static_cast<std::size_t>(of.what)];
        block.aio_fildes = static_cast<std::uint32_t>(all_.fd());
        block.aio_buf = of.size ? reinterpret_cast<std::uintptr_t>(of.buffer) : 0; // fsync wants nothing here
        block.aio_nbytes = of.size;
        block.aio_offset = of.offset;
        batch_[count_++] = &block;
    }

protected:
    void submit() {
        if (count_ == 0) return;
        long const taken = all_.submitting([&] { return ::syscall(SYS_io_submit, id_, count_, batch_.data()); });
        if (taken != static_cast<long>(count_)) call_failed("io_submit", taken < 0 ? errno : EAGAIN);
        count_ = 0;
    }
    // Through the system call, waiting for `min` events.
    template <class Done> void get_events(Done done) {
        long const count = ::syscall(SYS_io_getevents, id_, 1, all_.depth(), events_.data(), nullptr);
        for (long i = 0; i < count; ++i) {
            io_event const& event = events_[static_cast<std::size_t>(i)];
            done(event.data, event.res);
        }
    }
    // In place from the mapped ring. False: it is empty.
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
    pass& all_;
    aio_context_t id_ = 0;
    std::vector<iocb> blocks_;
    std::vector<iocb*> batch_;
    std::size_t count_ = 0;
    std::vector<io_event> events_;
};

} // namespace bench
