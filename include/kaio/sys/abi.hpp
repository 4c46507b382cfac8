// The kernel's data in kaio's own words: iocb, io_event, aio_ring, opcodes and flags as <linux/aio_abi.h> and fs/aio.c
// have them, and struct statx. tests/sys/contracts.cpp asserts where each field lies. Every pointer and length has 64
// bits on every architecture. Only aio_key and aio_rw_flags depend on the byte order.
//     kaio::iocb block = kaio::read(file, buffer, 0);
//     block.aio_data = 7;                     // comes back as io_event::data
//     if (event.request() == &block) use(event.result());
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>
#include <type_traits>

#include <kaio/sys/narrow.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// What an iocb asks for (IOCB_CMD_*). The kernel refuses IOCB_CMD_NOOP with EINVAL, so it is left out.
enum class opcode : std::uint16_t { pread = 0, pwrite = 1, fsync = 2, fdsync = 3, poll = 5, preadv = 7, pwritev = 8 };

// Flags of one request (RWF_*). One that the kernel or the file does not know is refused with EOPNOTSUPP: by io_submit,
// or in the event (ext4 and xfs for buffered I/O). RWF_HIPRI is left out, because the kernel ignores it for native AIO.
#pragma push_macro("none") // some projects have a macro of this name
#undef none
enum class rw_flags : std::int32_t {
    none = 0,
    dsync = 0x02,     // this write as if the file had O_DSYNC (4.7)
    sync = 0x04,      // this write as if the file had O_SYNC (4.7)
    nowait = 0x08,    // fails with EAGAIN instead of blocking (4.13)
    append = 0x10,    // writes at the end of the file, whatever the offset is (4.16)
    noappend = 0x20,  // writes at the offset although the file has O_APPEND (6.9)
    atomic = 0x40,    // writes all or nothing, within the limits that statx reports (6.11)
    dontcache = 0x80, // buffered I/O that leaves nothing in the page cache (6.14)
};
#pragma pop_macro("none")
// Both.
constexpr rw_flags operator|(rw_flags a, rw_flags b) noexcept {
    return static_cast<rw_flags>(static_cast<std::int32_t>(a) | static_cast<std::int32_t>(b));
}

// The classes of ioprio_set(2), which only some I/O schedulers look at. real_time needs CAP_SYS_NICE or CAP_SYS_ADMIN.
#pragma push_macro("none") // some projects have a macro of this name
#undef none
enum class priority_class : std::uint16_t { none = 0, real_time = 1, best_effort = 2, idle = 3 };
#pragma pop_macro("none")

// Bits of iocb::aio_flags. The kernel ignores unknown bits.
inline constexpr std::uint32_t iocb_flag_resfd = 1;  // the completion adds 1 to the eventfd aio_resfd
inline constexpr std::uint32_t iocb_flag_ioprio = 2; // aio_reqprio is valid (4.18)

// What the kernel is asked for: struct iocb.
struct iocb_little_endian {
    std::uint64_t aio_data;       // comes back as io_event::data
    std::uint32_t aio_key;        // the kernel writes it at submission, and io_cancel reads it
    std::int32_t aio_rw_flags;    // rw_flags
    std::uint16_t aio_lio_opcode; // opcode
    std::int16_t aio_reqprio;     // with iocb_flag_ioprio: the class << 13 | the level
    std::uint32_t aio_fildes;     // the descriptor
    std::uint64_t aio_buf;        // the buffer's address; the iovecs' for preadv and pwritev; for poll the events
    std::uint64_t aio_nbytes;     // bytes; for preadv and pwritev the number of iovecs
    std::int64_t aio_offset;      // bytes
    std::uint64_t aio_reserved2;  // 0
    std::uint32_t aio_flags;      // iocb_flag_resfd, iocb_flag_ioprio
    std::uint32_t aio_resfd;      // with iocb_flag_resfd: the eventfd
};

// The same for the other byte order.
struct iocb_big_endian {
    // As above.
    std::uint64_t aio_data;
    std::int32_t aio_rw_flags; // this one
    std::uint32_t aio_key;     // and this one change places
    std::uint16_t aio_lio_opcode;
    std::int16_t aio_reqprio;
    std::uint32_t aio_fildes;
    std::uint64_t aio_buf;
    std::uint64_t aio_nbytes;
    std::int64_t aio_offset;
    std::uint64_t aio_reserved2;
    std::uint32_t aio_flags;
    std::uint32_t aio_resfd;
};

// That of this processor.
using iocb = std::conditional_t<__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, iocb_big_endian, iocb_little_endian>;

class io_result; // in kaio/io/result.hpp

// One completion. `res` is signed: bytes, a poll mask, or a negative errno (libaio's header makes it unsigned).
struct io_event {
    std::uint64_t data; // iocb::aio_data
    std::uint64_t obj;  // the iocb's address
    std::int64_t res;   // what became of it, see result()
    std::int64_t res2;  // 0

    // The iocb that was submitted.
    iocb* request() const noexcept { return detail::pointer_in<iocb>(obj); }

    // `res` with its meanings. It is defined in kaio/io/result.hpp, which kaio/io/context.hpp includes.
    io_result result() const noexcept;
};

// The head of the completion ring that io_setup maps into the process. `nr` events follow at `header_length`.
struct aio_ring {
    std::uint32_t id;                // the kernel finds the context by it, so user space never writes it
    std::uint32_t nr;                // slots
    std::uint32_t head;              // next event to take
    std::uint32_t tail;              // next slot the kernel fills
    std::uint32_t magic;             // aio_ring_magic
    std::uint32_t compat_features;   // 1
    std::uint32_t incompat_features; // 0
    std::uint32_t header_length;     // bytes: 32
};
inline constexpr std::uint32_t aio_ring_magic = 0xa10a10a1; // what the kernel writes to `magic`

using aio_context_id = unsigned long; // the ring's address, or 0 for no context

// A relative timeout for the kernel (struct __kernel_timespec).
struct kernel_timespec {
    // Seconds, and nanoseconds below a second.
    std::int64_t tv_sec;
    std::int64_t tv_nsec;
};

// The timeout that io_getevents takes where `long` has 32 bits (struct old_timespec32).
struct kernel_timespec32 {
    // Seconds, and nanoseconds below a second.
    std::int32_t tv_sec;
    std::int32_t tv_nsec;
};

// The last argument of io_pgetevents (struct __aio_sigset); Word is as wide as a pointer.
template <class Word> struct basic_aio_sigset {
    Word sigmask;    // address of the kernel's signal set
    Word sigsetsize; // its size in bytes, as the kernel has it: 8 nearly everywhere
};
using aio_sigset = basic_aio_sigset<std::uintptr_t>; // that of this processor

// What statx(2) writes (struct statx, 4.11). Older C libraries lack it or its later fields.
struct kernel_statx {
    // struct statx_timestamp
    struct timestamp {
        // Seconds since 1970, and nanoseconds below a second.
        std::int64_t tv_sec;
        std::uint32_t tv_nsec;
        std::int32_t reserved;
    };

    std::uint32_t stx_mask; // the fields that are filled in, of those that were asked for

    // As statx(2) has them.
    std::uint32_t stx_blksize;
    std::uint64_t stx_attributes;
    std::uint32_t stx_nlink;
    std::uint32_t stx_uid;
    std::uint32_t stx_gid;
    std::uint16_t stx_mode;
    std::uint16_t reserved0;
    std::uint64_t stx_ino;
    std::uint64_t stx_size;
    std::uint64_t stx_blocks;
    std::uint64_t stx_attributes_mask;
    timestamp stx_atime;
    timestamp stx_btime;
    timestamp stx_ctime;
    timestamp stx_mtime;
    std::uint32_t stx_rdev_major;
    std::uint32_t stx_rdev_minor;
    std::uint32_t stx_dev_major;
    std::uint32_t stx_dev_minor;
    std::uint64_t stx_mnt_id;
    std::uint32_t stx_dio_mem_align;    // bytes, or 0 for a file without direct I/O (6.1)
    std::uint32_t stx_dio_offset_align; // the same
    std::uint64_t later[12];            // fields that kaio does not read
};
inline constexpr std::uint32_t statx_type = 0x1;        // STATX_TYPE: the file's type in stx_mode
inline constexpr std::uint32_t statx_dioalign = 0x2000; // STATX_DIOALIGN: the two alignments (6.1)

} // namespace KAIO_BUILD
} // namespace kaio
