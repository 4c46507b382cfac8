// Native AIO by hand, as a good engineer writes it with syscall(2) and <linux/aio_abi.h>; the two raw engines differ in
// how they take events.
#pragma once

#include <cerrno>
#include <cstring>

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.hpp"

namespace bench {

// Take(id, events, max) waits for one event or more, calls visit(event) for each and returns.
template <class Take> void run_raw(const workload& work, Take take) {
    aio_context_t id = 0;
    if (::syscall(SYS_io_setup, work.depth, &id) != 0) call_failed("io_setup", errno);
    auto places = slots(work);
    auto offset = work.offsets();
    std::vector<iocb> blocks(work.depth);
    std::vector<iocb*> batch(work.depth);
    std::size_t count = 0;
    std::uint64_t left = work.requests, done = 0;
    auto const next = [&](std::size_t i) {
        --left;
        places[i].begin(work);
        iocb& block = blocks[i];
        std::memset(&block, 0, sizeof block);
        block.aio_data = i;
        block.aio_lio_opcode = IOCB_CMD_PREAD;
        block.aio_fildes = static_cast<std::uint32_t>(work.fd);
        block.aio_buf = reinterpret_cast<std::uintptr_t>(places[i].buffer);
        block.aio_nbytes = work.block_size;
        block.aio_offset = offset();
        batch[count++] = &block;
    };
    work.measured->begin();
    for (std::size_t i = 0; i < work.depth; ++i) next(i);
    while (done < work.requests) {
        if (count != 0) {
            long const taken = ::syscall(SYS_io_submit, id, count, batch.data());
            if (taken != static_cast<long>(count)) call_failed("io_submit", taken < 0 ? errno : EAGAIN);
            count = 0;
        }
        take(id, work.depth, [&](const io_event& event) {
            places[event.data].end(work, event.res);
            ++done;
            if (left != 0) next(event.data);
        });
    }
    work.measured->end();
    ::syscall(SYS_io_destroy, id);
}

} // namespace bench
