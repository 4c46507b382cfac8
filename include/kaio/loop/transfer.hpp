// fully(request): a read or write that goes on until every byte is transferred, the end of the file, or an error. And
// transfer_result: how that ended.
//     kaio::transfer_result const result = co_await loop.submit(kaio::fully(kaio::read(file, buffer, 0)));
//     if (!result) return result.error();
//     use(buffer, result.bytes()); // fewer than the buffer has: the file ends there
// Making one never fails or allocates. Any thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <type_traits>
#include <utility>

#include <kaio/io/owning.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/detail/transfer_progress.hpp>

namespace kaio::inline KAIO_BUILD {

// True if all went well: every byte was transferred, or a read met the end of the file and bytes() is less than what
// was asked for. After an error, bytes() is what was transferred before it, from the beginning on.
class [[nodiscard("kaio: the result says whether it failed, and how many bytes were transferred")]] transfer_result {
public:
    // `error` is an errno, 0 for none.
    constexpr transfer_result(std::size_t bytes, int error) noexcept : bytes_(bytes), error_(error) {}

    // True if all went well. Whether or not, bytes() were transferred, and error() says what ended that.
    constexpr explicit operator bool() const noexcept { return error_ == 0; }
    constexpr std::size_t bytes() const noexcept { return bytes_; }
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }

    // bytes(), of a transfer that must have succeeded.
    // Errors: throws std::system_error with error(); `call` begins its text, so it names what was tried.
    std::size_t value(const char* call = "kaio: transfer") const {
        if (error_ != 0) [[unlikely]]
            detail::throw_error(error_, call);
        return bytes_;
    }

    // Equal if bytes and error are.
    friend constexpr bool operator==(transfer_result, transfer_result) noexcept = default;

private:
    std::size_t bytes_;
    int error_; // an errno, 0 for none
};

// Something to submit to a loop, made by fully().
struct [[nodiscard(
    "kaio: a transfer does nothing until it is submitted: loop.submit(fully(request), handler)")]] whole_transfer {
    iocb first;                         // what to begin with
    detail::transfer_progress progress; // for kaio's own headers
};

// A read, write, readv or writev that transfers every byte: short transfers are continued and EINTR is retried. Its
// handler's argument is a transfer_result. The buffers and the iovecs must stay until it has completed. kaio does not
// change the iovecs. There may be more than 1024 of them, and more bytes than the kernel takes at once. Both go in
// several requests, with direct I/O in whole units where the buffers allow that.
//
// A read has met the end of the file when the kernel returns 0 bytes, or when direct I/O stops between two units at
// what the file says is its size. A short transfer alone says nothing: network file systems make them anywhere. Direct
// I/O continues from there. Where the file system refuses that, it continues from the last whole unit, and a write then
// writes up to a unit of the same bytes a second time. FUSE lets native AIO read no further than the size, so a file
// there that has more than it says ends early, with success: read such a file by read(2). On a pipe, socket or terminal
// a read goes on until the buffer is full or the other end is closed, and io_submit may block for each part. If it is
// not to block, it ends with EAGAIN.
//
// Errors: those of the request. EIO for a write of which the kernel takes nothing without an error, and for direct I/O
// that makes no progress because the file system transfers less than a unit and refuses to continue inside one. EINVAL
// for a write that appends (O_APPEND, rw_flags::append) and is refused inside a unit, because it can't be repeated.
// System calls (fcntl, fstat, statx) only after direct I/O, or what may be direct I/O, stopped between two units or was
// refused there.
inline whole_transfer fully(const request& request) noexcept {
    [[maybe_unused]] auto const op = static_cast<opcode>(request.block().aio_lio_opcode);
    assert((op == opcode::pread || op == opcode::pwrite || op == opcode::preadv || op == opcode::pwritev) &&
           "kaio: fully() is for read, write, readv and writev");
    iocb first = request;
    detail::transfer_progress const progress(first, request.direct_unit());
    return {first, progress};
}

// The same with a buffer that is handed over, which comes back with the transfer_result.
template <class Buffer>
owning<whole_transfer, Buffer>
fully(owning<request, Buffer>&& request) noexcept(std::is_nothrow_move_constructible_v<Buffer>) {
    return {fully(request.work()), std::move(request.buffer())};
}

} // namespace kaio
