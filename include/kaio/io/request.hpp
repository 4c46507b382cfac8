// request: what is to be done, as a value: read, write, readv, writev, fsync, fdatasync, poll.
//     kaio::request const first = kaio::read(file, buffer, 0);
//     kaio::request const durable = kaio::write(file, buffer, 0).flags(kaio::rw_flags::dsync);
//     loop.submit(durable, handler);
// Making a request never fails, allocates or makes a system call. Its errors appear when it is submitted or completes.
// The memory that it names must stay until it has completed, and so must the array of a readv or writev. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <type_traits>
#include <utility>

#include <sys/uio.h>

#include <kaio/io/descriptor.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/owning.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// The kernel's iocb, filled in. Modifiers return a changed copy.
class KAIO_NODISCARD("kaio: a request does nothing until it is submitted: loop.submit(request, handler)") request {
public:
    // For operations that kaio has no factory for. `direct_unit` as below.
    constexpr explicit request(const iocb& block, std::uint32_t direct_unit = 0) noexcept
        : block_(block), direct_unit_(direct_unit) {}

    // The raw layer submits iocbs. The address that is submitted is what counts, so callers choose where the copy lies.
    constexpr operator iocb() const noexcept { return block_; }
    constexpr const iocb& block() const noexcept { return block_; }

    // The unit of offsets and lengths in bytes if the file is known to be open for direct I/O, else 0.
    constexpr std::uint32_t direct_unit() const noexcept { return direct_unit_; }

    // Replaces the flags. Errors at submission: EOPNOTSUPP for flags that the kernel or the file doesn't know, EINVAL
    // for any flag of an fsync, fdatasync or poll.
    constexpr request flags(rw_flags flags) const noexcept {
        request changed = *this;
        changed.block_.aio_rw_flags = static_cast<std::int32_t>(flags);
        return changed;
    }

    // Sets an I/O priority (4.18). Levels within the class go from 0 (first) to 7 (last); a greater one is 7. The class
    // `none` has no levels. Errors at submission: EPERM, EINVAL.
    constexpr request priority(priority_class klass, unsigned level = 4) const noexcept {
        unsigned const valid = klass == priority_class{} ? 0 : (level < 7 ? level : 7);
        request changed = *this;
        changed.block_.aio_flags |= iocb_flag_ioprio;
        changed.block_.aio_reqprio = static_cast<std::int16_t>((static_cast<unsigned>(klass) << 13) | valid);
        return changed;
    }

    // The request adds 1 to this eventfd when it completes. The count may be ahead of the ring or behind it: read the
    // eventfd first, then take events until there are none.
    constexpr request notify(int eventfd) const noexcept {
        request changed = *this;
        changed.block_.aio_flags |= iocb_flag_resfd;
        changed.block_.aio_resfd = static_cast<std::uint32_t>(eventfd);
        return changed;
    }

private:
    iocb block_;
    std::uint32_t direct_unit_;
};
static_assert(sizeof(request) <= 72 && std::is_trivially_copyable_v<request>);

namespace detail {

// An offset that is a number. It comes to read() and write() as it is, because g++ would keep a file_offset in the
// frame of a coroutine.
template <class Offset>
using scalar_offset = std::enable_if_t<std::is_scalar_v<Offset> && std::is_convertible_v<Offset, file_offset>>;

template <class Buffer, class = void> inline constexpr bool contiguous = false;
template <class Buffer>
inline constexpr bool contiguous<Buffer, std::void_t<element_of<Buffer>, size_type_of<Buffer>>> = true;

constexpr request make_request(opcode op, const descriptor& file, std::uint64_t data, std::uint64_t count,
                               std::int64_t offset) noexcept {
    iocb block{};
    block.aio_lio_opcode = static_cast<std::uint16_t>(op);
    block.aio_fildes = static_cast<std::uint32_t>(file.fd());
    block.aio_buf = data;
    block.aio_nbytes = count;
    block.aio_offset = offset;
    return request(block, file.direct_unit());
}

inline std::uint64_t address(const volatile void* memory) noexcept { return reinterpret_cast<std::uintptr_t>(memory); }

template <class Buffer>
[[gnu::__always_inline__]] inline request transfer(opcode op, const descriptor& file, Buffer& buffer,
                                                   file_offset offset) noexcept {
    std::size_t const bytes = std::size(buffer) * sizeof(element_of<Buffer>);
#if !defined(NDEBUG)
    if (bytes == 0 && std::data(buffer) == nullptr)
        std::fputs(
            "kaio: a read or write has an empty buffer, and will transfer nothing; if the buffer was moved, into a "
            "handler perhaps, hand it over with the request: kaio::read(file, std::move(buffer), offset)\n",
            stderr);
#endif
    file.expect_aligned(std::data(buffer), bytes, offset);
    return make_request(op, file, address(std::data(buffer)), bytes, offset.value());
}

// Making a request fails only if moving its buffer fails.
template <class Buffer>
inline constexpr bool keeps_noexcept =
    !is_handed_over<Buffer> || std::is_nothrow_move_constructible_v<std::remove_cv_t<Buffer>>;

// The request, which owns the buffer if that is handed over.
template <class Buffer>
[[gnu::__always_inline__]] inline auto transfer_of(opcode op, const descriptor& file, Buffer&& buffer,
                                                   file_offset offset) noexcept(keeps_noexcept<Buffer>) {
    if constexpr (is_handed_over<Buffer>) {
        static_assert(!std::is_const_v<Buffer>, "kaio: a const buffer can't be handed over, because it can't be moved");
        using owner = std::remove_cv_t<Buffer>;
        return owning<request, owner>(transfer(op, file, buffer, offset), std::move(buffer));
    } else {
        return transfer(op, file, buffer, offset);
    }
}

} // namespace detail

// Reads from `offset` (bytes) of `file` into all of `buffer`: a span, or anything with data() and size(), such as an
// aligned_buffer, a pool's handle, an array or a vector. Its elements must be trivially copyable.
//
// The result is the number of bytes read. It is less than was asked for at the end of the file (0 behind it), when a
// signal interrupts, and beyond 0x7ffff000 bytes, the most that the kernel transfers at once (0x7fff0000 where pages
// have 64 KiB). kaio::fully() goes on where a read stops short.
// With O_DIRECT, address, length and offset are multiples of file::alignment(). A debug build says which of them is
// not, and what the file wants: see descriptor::expect_aligned.
// Errors: EINVAL (alignment, or a directory), EIO, EBADF, EISDIR; see read(2).
//
// A buffer that owns its bytes and is an rvalue is handed over (kaio/io/owning.hpp). An lvalue, a span or another view
// is borrowed.
template <class Buffer, class Offset, class = detail::scalar_offset<Offset>>
[[gnu::__always_inline__]] inline auto read(const descriptor& file, Buffer&& buffer,
                                            Offset offset) noexcept(detail::keeps_noexcept<Buffer>) {
    static_assert(detail::contiguous<Buffer>, "kaio: read() needs a buffer with data() and size(), such as std::span");
    if constexpr (detail::contiguous<Buffer>) {
        static_assert(!std::is_const_v<detail::element_of<Buffer>>,
                      "kaio: read() writes into its buffer, and the elements of this buffer are const");
        static_assert(std::is_trivially_copyable_v<detail::element_of<Buffer>>,
                      "kaio: read() fills its buffer with plain bytes, so its elements must be trivially copyable");
        return detail::transfer_of(opcode::pread, file, std::forward<Buffer>(buffer), offset);
    }
}
template <class Buffer>
auto read(const descriptor& file, Buffer&& buffer, file_offset offset) noexcept(detail::keeps_noexcept<Buffer>) {
    return read(file, std::forward<Buffer>(buffer), offset.value());
}

// Writes all of `buffer` at `offset` (bytes) of `file`. Buffer, alignment and lifetime are as for read. The bytes must
// not change until the request has completed.
//
// The result is the number of bytes written, which may be less than was asked for (a full disk, a file size limit). It
// says nothing about permanence: rw_flags::dsync and fdatasync do. A file that was opened with O_APPEND is written at
// its end, whatever `offset` is; rw_flags::noappend (6.9) undoes that for one request.
// Errors: those of read, ENOSPC, and EFBIG beyond the largest file and RLIMIT_FSIZE; see write(2). Beyond RLIMIT_FSIZE
// the kernel also sends SIGXFSZ, which ends a program that neither ignores nor handles it.
template <class Buffer, class Offset, class = detail::scalar_offset<Offset>>
[[gnu::__always_inline__]] inline auto write(const descriptor& file, Buffer&& buffer,
                                             Offset offset) noexcept(detail::keeps_noexcept<Buffer>) {
    static_assert(detail::contiguous<Buffer>, "kaio: write() needs a buffer with data() and size(), such as std::span");
    if constexpr (detail::contiguous<Buffer>) {
        static_assert(std::is_trivially_copyable_v<detail::element_of<Buffer>>,
                      "kaio: write() writes plain bytes, so the elements of its buffer must be trivially copyable");
        return detail::transfer_of(opcode::pwrite, file, std::forward<Buffer>(buffer), offset);
    }
}
template <class Buffer>
auto write(const descriptor& file, Buffer&& buffer, file_offset offset) noexcept(detail::keeps_noexcept<Buffer>) {
    return write(file, std::forward<Buffer>(buffer), offset.value());
}

// Reads into the buffers of `vector` in turn, otherwise as read. The array must stay until the request has completed,
// because a loop may hand it to the kernel late. With O_DIRECT each buffer is aligned. Until the submission the array
// may change, so a debug build looks at the buffers when the kernel has refused them: see descriptor::explain_refusal.
// Errors at submission: EINVAL for more than 1024 buffers.
inline request readv(const descriptor& file, view<const iovec> vector, file_offset offset) noexcept {
    file.expect_aligned(nullptr, 0, offset);
    return detail::make_request(opcode::preadv, file, detail::address(vector.data()), vector.size(), offset.value());
}

// Writes the buffers of `vector` in turn, otherwise as write and readv.
inline request writev(const descriptor& file, view<const iovec> vector, file_offset offset) noexcept {
    file.expect_aligned(nullptr, 0, offset);
    return detail::make_request(opcode::pwritev, file, detail::address(vector.data()), vector.size(), offset.value());
}

// fsync(2): completes when the file's data and metadata are on the device. It covers the writes that have completed
// before it is submitted, and orders nothing among requests in flight. Errors: EINVAL before Linux 4.18.
inline request fsync(const descriptor& file) noexcept { return detail::make_request(opcode::fsync, file, 0, 0, 0); }

// fdatasync(2): as fsync, but without metadata that is not needed to read the data back.
inline request fdatasync(const descriptor& file) noexcept {
    return detail::make_request(opcode::fdsync, file, 0, 0, 0);
}

// Completes once, when one of `events` (POLLIN, POLLOUT, … of poll(2)) holds for `file`: a socket, pipe, eventfd or
// timerfd (4.19). The result is the mask of events that hold. Not for a signalfd: a signal that comes after the
// submission does not complete it (seen on 6.18).
//
// It takes the room of a request while it waits: a loop with as many polls as its capacity starts nothing else. Closing
// the descriptor does not end it, because it keeps the file open, as dup(2) does. Cancel it first, or shut the socket
// down. Errors: EINVAL for events that poll does not know.
inline request poll(const descriptor& file, int events) noexcept {
    return detail::make_request(opcode::poll, file, static_cast<std::uint16_t>(events), 0, 0);
}

} // namespace KAIO_BUILD
} // namespace kaio
