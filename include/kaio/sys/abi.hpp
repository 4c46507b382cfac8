// The kernel's data, in kaio's own words: iocb, io_event, aio_ring, opcodes and flags, as <linux/aio_abi.h> and
// fs/aio.c have them, and struct statx. Data only; tests/sys/contracts.cpp says where each field must lie. Every pointer
// and length is 64 bits wide on every architecture; only aio_key and aio_rw_flags depend on the byte order.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>
#include <type_traits>

#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

// What an iocb asks for (IOCB_CMD_*). IOCB_CMD_NOOP is left out: the kernel refuses it with EINVAL.
enum class opcode : std::uint16_t { pread = 0, pwrite = 1, fsync = 2, fdsync = 3, poll = 5, preadv = 7, pwritev = 8 };

// Per-request flags (RWF_*). A flag that the kernel or the file does not know is refused with EOPNOTSUPP, by io_submit or
// (ext4 and xfs for buffered I/O) in the event.
// RWF_HIPRI is left out: the kernel accepts and then ignores it for native AIO.
#pragma push_macro("none") // some projects have a macro of this name
#undef none
enum class rw_flags : std::int32_t {
    none = 0,
    dsync = 0x02,     // this write as if the file had O_DSYNC (4.7)
    sync = 0x04,      // this write as if the file had O_SYNC (4.7)
    nowait = 0x08,    // fail with EAGAIN instead of blocking (4.13)
    append = 0x10,    // write at the end of the file; the offset is ignored (4.16)
    noappend = 0x20,  // write at the offset although the file has O_APPEND (6.9)
    atomic = 0x40,    // write all or nothing, within the limits that statx reports (6.11)
    dontcache = 0x80, // buffered I/O that leaves nothing in the page cache (6.14)
};
#pragma pop_macro("none")
constexpr rw_flags operator|(rw_flags a, rw_flags b) noexcept {
    return static_cast<rw_flags>(static_cast<std::int32_t>(a) | static_cast<std::int32_t>(b));
}

// Bits of iocb::aio_flags. Unknown bits are accepted by the kernel in silence.
inline constexpr std::uint32_t iocb_flag_resfd = 1;  // add 1 to the eventfd aio_resfd on completion
inline constexpr std::uint32_t iocb_flag_ioprio = 2; // aio_reqprio is valid (4.18)

struct iocb_little_endian {
    std::uint64_t aio_data; // comes back as io_event::data
    std::uint32_t aio_key;  // written by the kernel at submission, read by io_cancel
    std::int32_t aio_rw_flags;
    std::uint16_t aio_lio_opcode;
    std::int16_t aio_reqprio;
    std::uint32_t aio_fildes;
    std::uint64_t aio_buf;
    std::uint64_t aio_nbytes; // bytes; for preadv and pwritev the number of iovecs
    std::int64_t aio_offset;  // bytes
    std::uint64_t aio_reserved2;
    std::uint32_t aio_flags;
    std::uint32_t aio_resfd;
};

struct iocb_big_endian {
    std::uint64_t aio_data;
    std::int32_t aio_rw_flags; // here the two stand the other way round
    std::uint32_t aio_key;
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

using iocb = std::conditional_t<__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, iocb_big_endian, iocb_little_endian>;

class io_result; // in kaio/io/result.hpp

// One completion. `res` is signed: bytes, a poll mask, or a negative errno (libaio's header makes it unsigned).
struct io_event {
    std::uint64_t data; // iocb::aio_data
    std::uint64_t obj;  // the iocb's address
    std::int64_t res;
    std::int64_t res2;

    // The iocb that was submitted.
    iocb* request() const noexcept { return detail::pointer_in<iocb>(obj); }

    // `res` with its meanings. For callers that include kaio/io/result.hpp, as whoever has a context does.
    io_result result() const noexcept;
};

// The head of the completion ring that io_setup maps into the process; `nr` events follow at `header_length`.
struct aio_ring {
    std::uint32_t id; // the kernel finds the context by it: never written by user space
    std::uint32_t nr;
    std::uint32_t head; // next event to take
    std::uint32_t tail; // next slot the kernel fills
    std::uint32_t magic;
    std::uint32_t compat_features;
    std::uint32_t incompat_features;
    std::uint32_t header_length;
};
inline constexpr std::uint32_t aio_ring_magic = 0xa10a10a1;

using aio_context_id = unsigned long; // the ring's address; 0 is no context

// A relative timeout for the kernel (struct __kernel_timespec).
struct kernel_timespec {
    std::int64_t tv_sec;
    std::int64_t tv_nsec;
};

// What io_getevents takes where `long` has 32 bits (struct old_timespec32).
struct kernel_timespec32 {
    std::int32_t tv_sec;
    std::int32_t tv_nsec;
};

// The last argument of io_pgetevents (struct __aio_sigset); Word is as wide as a pointer.
template <class Word> struct basic_aio_sigset {
    Word sigmask; // address of the kernel's signal set
    Word sigsetsize;
};
using aio_sigset = basic_aio_sigset<std::uintptr_t>;

// What statx(2) writes (struct statx, 4.11). Older C libraries don't know it, or not its later fields.
struct kernel_statx {
    struct timestamp {
        std::int64_t tv_sec;
        std::uint32_t tv_nsec;
        std::int32_t reserved;
    };

    std::uint32_t stx_mask; // which of the fields that were asked for have been filled in
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
    timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    std::uint32_t stx_rdev_major, stx_rdev_minor;
    std::uint32_t stx_dev_major, stx_dev_minor;
    std::uint64_t stx_mnt_id;
    std::uint32_t stx_dio_mem_align;    // bytes; 0: this file has no direct I/O (6.1)
    std::uint32_t stx_dio_offset_align; // likewise
    std::uint64_t later[12];
};
inline constexpr std::uint32_t statx_type = 0x1;        // STATX_TYPE: the file's type in stx_mode
inline constexpr std::uint32_t statx_dioalign = 0x2000; // STATX_DIOALIGN: the two alignments (6.1)

} // namespace kaio
