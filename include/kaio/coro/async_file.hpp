// async_file: what of a file Linux has no asynchronous call for, done by the loop's helpers: opening it, its size, room
// for it.
//     kaio::file const log = (co_await kaio::async_open(loop, "log", O_RDWR | O_CREAT, 0644)).value("open the log");
//     (co_await kaio::allocate(loop, log, 0, 1 << 30)).value("make room in the log");
// Each is awaited once, and goes by loop.offload: in a loop without helpers it blocks the thread. What a call is given
// must stay until it has come back. Each returns a result<…>, whose value() throws the error. Allocates: nothing.
// It belongs to the loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <sys/types.h>

#include <kaio/io/descriptor.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/offload.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

// file::try_open. Returns a result<file>.
template <class Loop> auto async_open(Loop& io_loop, const char* path, int flags, mode_t mode = 0) {
    return io_loop.offload([=] { return file::try_open(path, flags, mode); });
}

// try_size of a kaio::file, or of a class of your own. Returns a result<std::uint64_t>.
template <class Loop, open_file File> auto async_size(Loop& io_loop, const File& of) {
    return io_loop.offload([&of] { return of.try_size(); });
}

// try_truncate of any truncatable_file: cuts it, or lengthens it with zeros. Returns a result<void>.
template <class Loop, truncatable_file File> auto async_resize(Loop& io_loop, const File& of, file_offset size) {
    return io_loop.offload([&of, size]() -> result<void> {
        auto const resized = of.try_truncate(size);
        if (!resized) return failure(resized.error().value());
        return {};
    });
}

// fallocate(2): room for `size` bytes from `offset` on, so that writing there finds no full disk, and need not extend
// the file. `mode` as there: FALLOC_FL_KEEP_SIZE leaves the size as it is, others free the room (FALLOC_FL_PUNCH_HOLE) or
// write zeros. Returns a result<void>.
// Errors: ENOSPC, EDQUOT (there is no such room); EOPNOTSUPP (the file system can't, or not in this mode); EFBIG; EBADF
// (it is not open for writing); EINVAL (a negative offset, a size of 0 or less); ENODEV and ESPIPE (it is no regular
// file); EIO, EPERM.
template <class Loop>
auto allocate(Loop& io_loop, const descriptor& where, file_offset offset, file_offset size, int mode = 0) {
    return io_loop.offload([fd = where.fd(), offset, size, mode]() -> result<void> {
        auto const begin = detail::narrow<off_t>(offset.value());
        auto const length = detail::narrow<off_t>(size.value());
        if (begin != offset.value() || length != size.value()) return failure(EFBIG); // a 32-bit program
        int failed;
        do failed = ::fallocate(fd, mode, begin, length);
        while (failed != 0 && errno == EINTR);
        if (failed != 0) return failure(errno);
        return {};
    });
}

// sync_file_range(2): writes the bytes out of the page cache, and waits until the device has them. A size of 0: all from
// `offset` on. It spares a later fdatasync the work, and does not replace one: the device's own cache, the file's size,
// and where a new block lies, may still be lost. Returns a result<void>.
// Errors: EIO, ENOSPC; EBADF; EINVAL (negative); ESPIPE (it is neither a file nor a device); ENOSYS (FUSE and others).
template <class Loop> auto sync_range(Loop& io_loop, const descriptor& where, file_offset offset, file_offset size) {
    return io_loop.offload([fd = where.fd(), offset, size]() -> result<void> {
        constexpr unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
        if (::sync_file_range(fd, offset.value(), size.value(), all) != 0) return failure(errno);
        return {};
    });
}

} // namespace kaio
