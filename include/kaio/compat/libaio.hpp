// libaio's functions and structures over kaio, for sources that are written against <libaio.h>. Two lines replace that
// one, and nothing is linked:
//     #include <kaio/compat/libaio.hpp>
//     using namespace kaio::libaio;
//     io_context_t context{};
//     if (int const error = io_setup(128, &context); error < 0) return error;
// Names, fields, layouts and results are those of libaio 0.3.113: not negative, or a negative errno, and errno itself
// stays as it is. io_getevents takes events out of the ring, without a system call where there are enough.
//
// Any thread may call any function at any time, io_destroy of a context in use included. A child made by fork can't use
// its parent's contexts (EINVAL), and may make its own. No call allocates but io_setup.
// docs/libaio.md goes through the functions one by one. Programs that are built already use the library that `meson
// compile libaio` builds. Not in kaio/kaio.hpp.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <signal.h>
#include <time.h>

#include <kaio/compat/detail/libaio_calls.hpp>
#include <kaio/sys/abi.hpp>

struct iovec;
struct sockaddr;

namespace kaio {
inline namespace KAIO_BUILD {
namespace libaio {

struct io_context;

// The kernel's number of the context, which is the address of its ring. Programs may look at the ring through it, and
// may give it to the kernel by system calls of their own. No thread may take events that way while others do it by
// io_getevents.
using io_context_t = io_context*;

// What a request does.
enum io_iocb_cmd {
    IO_CMD_PREAD = 0,
    IO_CMD_PWRITE = 1,
    IO_CMD_FSYNC = 2,
    IO_CMD_FDSYNC = 3,
    IO_CMD_POLL = 5,
    IO_CMD_NOOP = 6,
    IO_CMD_PREADV = 7,
    IO_CMD_PWRITEV = 8,
};
// The same, as libaio names it.
using io_iocb_cmd_t = io_iocb_cmd;

// A field of 64 bits for the kernel. Where a pointer or a long has 32, KAIO_WIDE puts padding in place of the upper
// half; KAIO_PAIR is of two that have 32 bits everywhere.
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define KAIO_PAIR(first, second) second, first
#else
#define KAIO_PAIR(first, second) first, second
#endif
#if __SIZEOF_LONG__ == 8
#define KAIO_WIDE(field, padding) field
#elif __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define KAIO_WIDE(field, padding)                                                                                      \
    unsigned padding;                                                                                                  \
    field
#else
#define KAIO_WIDE(field, padding)                                                                                      \
    field;                                                                                                             \
    unsigned padding
#endif

// Of a poll.
struct io_iocb_poll {
    int KAIO_PAIR(events, padding); // what poll(2) takes
};

// Of no request: libaio has it.
struct io_iocb_sockaddr {
    KAIO_WIDE(sockaddr* addr, padding);     // not used
    KAIO_WIDE(unsigned long len, padding2); // not used
};

// Of a read or write with one buffer.
struct io_iocb_common {
    KAIO_WIDE(void* buf, padding);             // the buffer
    KAIO_WIDE(unsigned long nbytes, padding2); // its bytes
    long long offset;                          // bytes
    long long padding3;                        // 0
    unsigned flags;                            // 1: resfd is an eventfd
    unsigned resfd;                            // counted up at completion
};

// Of a read or write with several buffers.
struct io_iocb_vector {
    KAIO_WIDE(const iovec* vec, padding);  // the buffers
    KAIO_WIDE(unsigned long nr, padding2); // how many
    long long offset;                      // bytes
};

// A request. The kernel copies it at submission, and its address comes back in io_event.
struct iocb {
    KAIO_WIDE(void* data, padding);        // comes back in io_event
    unsigned KAIO_PAIR(key, aio_rw_flags); // the kernel's own; aio_rw_flags: RWF_ flags
    short aio_lio_opcode;                  // an io_iocb_cmd
    short aio_reqprio;                     // an I/O priority, see request::priority
    int aio_fildes;                        // the descriptor
    // What the opcode needs.
    union {
        io_iocb_common c;
        io_iocb_vector v;
        io_iocb_poll poll;
        io_iocb_sockaddr saddr;
    } u;
};

// `res` is signed in truth: bytes, a poll mask, or a negative errno.
struct io_event {
    KAIO_WIDE(void* data, padding);          // the request's
    KAIO_WIDE(iocb* obj, padding2);          // the request's address
    KAIO_WIDE(unsigned long res, padding3);  // the result
    KAIO_WIDE(unsigned long res2, padding4); // 0
};

// A signal mask for the kernel.
struct io_sigset {
    unsigned long ss;     // its address
    unsigned long ss_len; // its bytes
};

// The same of programs with 32 bits.
struct io_sigset_compat {
    KAIO_WIDE(unsigned long ss, padding); // its address
    unsigned long ss_len;                 // its bytes
};

#undef KAIO_WIDE
#undef KAIO_PAIR

static_assert(sizeof(iocb) == sizeof(kaio::iocb) && sizeof(io_event) == sizeof(kaio::io_event));

// What io_queue_run calls for an event.
using io_callback_t = void (*)(io_context_t ctx, iocb* block, long res, long res2);

// Makes a context for `maxevents` requests in flight, where *ctxp is 0.
// Errors: EFAULT, EINVAL (*ctxp is not 0, or `maxevents` is not 1 or more), EAGAIN (fs.aio-max-nr), ENOMEM, ENOSYS,
// EPERM.
inline int io_setup(int maxevents, io_context_t* ctxp) noexcept {
    return kaio::detail::libaio_setup(maxevents, reinterpret_cast<aio_context_id*>(ctxp));
}

// The same, whatever *ctxp is.
inline int io_queue_init(int maxevents, io_context_t* ctxp) noexcept {
    if (maxevents <= 0) return -EINVAL;
    *ctxp = nullptr;
    return io_setup(maxevents, ctxp);
}

// Cancels polls, waits for disk requests, and removes the context. Threads that wait for its events return EINVAL.
// Errors: EINVAL, also if another thread was first.
inline int io_destroy(io_context_t ctx) noexcept {
    return kaio::detail::libaio_destroy(reinterpret_cast<aio_context_id>(ctx));
}
inline int io_queue_release(io_context_t ctx) noexcept { return io_destroy(ctx); }

// Hands `nr` requests to the kernel by one system call, and returns how many of the first it took.
// Errors: those of the first request, if it took none: EAGAIN (no room), EBADF, EINVAL, EOPNOTSUPP, EFAULT.
inline int io_submit(io_context_t ctx, long nr, iocb* ios[]) noexcept {
    return kaio::detail::libaio_submit(reinterpret_cast<aio_context_id>(ctx), nr, reinterpret_cast<kaio::iocb**>(ios));
}

// Cancels a poll. Errors: EINPROGRESS is the success, and the event comes by io_getevents; else EINVAL, EFAULT.
inline int io_cancel(io_context_t ctx, iocb* block, io_event* evt) noexcept {
    return kaio::detail::libaio_cancel(reinterpret_cast<aio_context_id>(ctx), reinterpret_cast<kaio::iocb*>(block),
                                       reinterpret_cast<kaio::io_event*>(evt));
}

// Waits for `min_nr` events, for `timeout` or a signal, and returns how many it took, at most `nr`. No timeout is
// forever. Errors: EINTR (it took none), EINVAL. System calls: none if the ring has `min_nr` events and no other thread
// sleeps in this context, or with a timeout of 0 and an empty ring; else one io_getevents.
inline int io_getevents(io_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout) noexcept {
    return kaio::detail::libaio_getevents(reinterpret_cast<aio_context_id>(ctx), min_nr, nr,
                                          reinterpret_cast<kaio::io_event*>(events), timeout, nullptr);
}

// The same with a signal mask while it sleeps (4.18). Errors: also ENOSYS, if there is a mask and no such call.
inline int io_pgetevents(io_context_t ctx, long min_nr, long nr, io_event* events, timespec* timeout,
                         sigset_t* sigmask) noexcept {
    return kaio::detail::libaio_getevents(reinterpret_cast<aio_context_id>(ctx), min_nr, nr,
                                          reinterpret_cast<kaio::io_event*>(events), timeout, sigmask);
}

// Returns 0 at once: the kernel does not wait for no events.
inline int io_queue_wait(io_context_t ctx, timespec* timeout) noexcept {
    return io_getevents(ctx, 0, 0, nullptr, timeout);
}

// Takes the events that are there, and calls for each the function that io_set_callback put into its request. A callback
// may throw, and may destroy the context. Errors: EINVAL.
inline int io_queue_run(io_context_t ctx) {
    timespec no_time{};
    io_event event;
    int count;
    while ((count = io_getevents(ctx, 0, 1, &event, &no_time)) == 1) {
        auto const callback = reinterpret_cast<io_callback_t>(reinterpret_cast<std::uintptr_t>(event.data));
        callback(ctx, event.obj, static_cast<long>(event.res), static_cast<long>(event.res2));
    }
    return count;
}

// io_queue_run calls `cb` for its event. It takes the place of `data`.
inline void io_set_callback(iocb* block, io_callback_t cb) noexcept {
    block->data = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(cb));
}

// The completion adds 1 to the eventfd.
inline void io_set_eventfd(iocb* block, int eventfd) noexcept {
    block->u.c.flags |= iocb_flag_resfd;
    block->u.c.resfd = static_cast<unsigned>(eventfd);
}

// Requests. They are all zero where nothing is said.
inline void io_prep_pread(iocb* block, int fd, void* buf, std::size_t count, long long offset) noexcept {
    *block = iocb{};
    block->aio_fildes = fd;
    block->aio_lio_opcode = IO_CMD_PREAD;
    block->u.c.buf = buf;
    block->u.c.nbytes = count;
    block->u.c.offset = offset;
}
inline void io_prep_pwrite(iocb* block, int fd, void* buf, std::size_t count, long long offset) noexcept {
    io_prep_pread(block, fd, buf, count, offset);
    block->aio_lio_opcode = IO_CMD_PWRITE;
}

// `flags` are the kernel's RWF_*.
inline void io_prep_preadv2(iocb* block, int fd, const iovec* iov, int iovcnt, long long offset, int flags) noexcept {
    *block = iocb{};
    block->aio_fildes = fd;
    block->aio_lio_opcode = IO_CMD_PREADV;
    block->aio_rw_flags = static_cast<unsigned>(flags);
    block->u.v.vec = iov;
    block->u.v.nr = static_cast<unsigned long>(iovcnt);
    block->u.v.offset = offset;
}
inline void io_prep_pwritev2(iocb* block, int fd, const iovec* iov, int iovcnt, long long offset, int flags) noexcept {
    io_prep_preadv2(block, fd, iov, iovcnt, offset, flags);
    block->aio_lio_opcode = IO_CMD_PWRITEV;
}
inline void io_prep_preadv(iocb* block, int fd, const iovec* iov, int iovcnt, long long offset) noexcept {
    io_prep_preadv2(block, fd, iov, iovcnt, offset, 0);
}
inline void io_prep_pwritev(iocb* block, int fd, const iovec* iov, int iovcnt, long long offset) noexcept {
    io_prep_pwritev2(block, fd, iov, iovcnt, offset, 0);
}

// `events` are those of poll(2) (4.19).
inline void io_prep_poll(iocb* block, int fd, int events) noexcept {
    *block = iocb{};
    block->aio_fildes = fd;
    block->aio_lio_opcode = IO_CMD_POLL;
    block->u.poll.events = events;
}

// fsync and fdatasync (4.18).
inline void io_prep_fsync(iocb* block, int fd) noexcept {
    *block = iocb{};
    block->aio_fildes = fd;
    block->aio_lio_opcode = IO_CMD_FSYNC;
}
inline void io_prep_fdsync(iocb* block, int fd) noexcept {
    io_prep_fsync(block, fd);
    block->aio_lio_opcode = IO_CMD_FDSYNC;
}

// Prepare a request with a callback, and submit it.
inline int io_poll(io_context_t ctx, iocb* block, io_callback_t cb, int fd, int events) noexcept {
    io_prep_poll(block, fd, events);
    io_set_callback(block, cb);
    return io_submit(ctx, 1, &block);
}
inline int io_fsync(io_context_t ctx, iocb* block, io_callback_t cb, int fd) noexcept {
    io_prep_fsync(block, fd);
    io_set_callback(block, cb);
    return io_submit(ctx, 1, &block);
}
inline int io_fdsync(io_context_t ctx, iocb* block, io_callback_t cb, int fd) noexcept {
    io_prep_fdsync(block, fd);
    io_set_callback(block, cb);
    return io_submit(ctx, 1, &block);
}

} // namespace libaio
} // namespace KAIO_BUILD
} // namespace kaio
