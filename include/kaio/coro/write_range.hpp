// write_range: writes any bytes anywhere into a file, with direct I/O or without.
//     kaio::transfer_result const r = co_await kaio::write_range(loop, file, record, 4321);
//     r.value("write the record");
// Direct I/O writes whole blocks from aligned memory. What is aligned is written straight from the caller's memory, and
// the rest through a buffer of kaio's own: blocks of which the range is only a part are read first. It belongs to the
// loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <kaio/coro/async_file.hpp>
#include <kaio/coro/detail/contiguous_progress.hpp>
#include <kaio/coro/detail/overwrite_piece.hpp>
#include <kaio/coro/detail/pieces.hpp>
#include <kaio/coro/for_each_concurrent.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/transfer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

// Writes `content` to `offset` (bytes) of `file`, any truncatable_file: a MiB at a time, four at once. The bytes around
// it stay as they are, and the file grows as far as it must. The file and the memory must stay until the task has
// finished, and the bytes must not change.
//
// With direct I/O a range that is not of whole blocks shares its first and last block with others: two such writes to
// one block at a time lose bytes (kaio/coro/mutex.hpp orders them), and so does a write behind the end of the file while
// another lengthens it. A last block that reaches behind the end is written whole, and cut off by file.try_truncate on a
// helper: power loss may leave the file longer by some zeros.
//
// The result is the number of bytes written from the beginning on. After an error the file may hold any part of the
// rest. Success says nothing about permanence: fdatasync does.
// Errors: those of fully() and try_truncate; ENOMEM; EINVAL, with nothing written, if the range begins before 0 or ends
// beyond what an offset can say, and for a file with O_APPEND; EBADF if blocks have to be read, and the file is not open
// for reading. Allocates: frames, and a buffer for each piece that is not aligned. System calls beside the requests:
// fcntl, ftruncate.
template <class Loop, truncatable_file File>
task<transfer_result> write_range(Loop& io_loop, const File& file, view<const std::byte> content, file_offset offset) {
    std::int64_t const begin = offset.value();
    if (begin < 0 || content.size() > static_cast<std::uint64_t>(INT64_MAX - begin))
        co_return transfer_result(0, EINVAL);
    if constexpr (requires { file.appends(); })
        if (file.appends()) co_return transfer_result(0, EINVAL);
    detail::contiguous_progress progress;
    std::int64_t size = -1; // what the file's size should be, if it has become more
    co_await for_each_concurrent(detail::pieces(begin, content.size()), detail::pieces::at_once,
                                 [&](detail::pieces::piece piece) {
                                     return detail::overwrite_piece(
                                         io_loop, file, piece, content.data() + (piece.offset - begin), progress, size);
                                 });
    transfer_result const written = progress.result(begin, content.size());
    if (size < 0) co_return written;
    result<void> const cut = co_await async_resize(io_loop, file, size);
    co_return written && !cut ? transfer_result(written.bytes(), cut.error().value()) : written;
}

} // namespace kaio
KAIO_COROUTINES_END
