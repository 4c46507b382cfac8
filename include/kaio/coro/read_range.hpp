// read_range: reads any bytes of a file, with direct I/O or without.
//     std::vector<std::byte> record(1234);
//     kaio::transfer_result const r = co_await kaio::read_range(loop, file, record, 4321);
//     record.resize(r.value("read the record"));
// Direct I/O reads whole blocks into aligned memory. What is aligned is read straight into the caller's memory, and the
// rest through a buffer of kaio's own. It belongs to the loop's thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <kaio/coro/detail/contiguous_progress.hpp>
#include <kaio/coro/detail/pieces.hpp>
#include <kaio/coro/detail/read_piece.hpp>
#include <kaio/coro/for_each_concurrent.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/transfer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

// Reads from `offset` (bytes) of `file`, any open_file, into all of `buffer`, whatever offset, length and address are:
// a MiB at a time, four at once. The file and the memory must stay until the task has finished.
//
// The result is the number of bytes read from the beginning on, fewer at the end of the file or with an error. The
// bytes behind those are indeterminate. fully() says what the end of a file is.
// Errors: those of fully(); ENOMEM; EINVAL, with nothing read, if the range begins before 0 or ends beyond what an
// offset can say. Allocates: frames, and a buffer for each piece that is not aligned.
template <class Loop, open_file File>
task<transfer_result> read_range(Loop& io_loop, const File& file, view<std::byte> buffer, file_offset offset) {
    std::int64_t const begin = offset.value();
    if (begin < 0 || buffer.size() > static_cast<std::uint64_t>(INT64_MAX - begin))
        co_return transfer_result(0, EINVAL);
    detail::contiguous_progress progress;
    co_await for_each_concurrent(
        detail::pieces(begin, buffer.size()), detail::pieces::at_once, [&](detail::pieces::piece piece) {
            return detail::read_piece(io_loop, file, piece, buffer.data() + (piece.offset - begin), progress);
        });
    co_return progress.result(begin, buffer.size());
}

} // namespace kaio
KAIO_COROUTINES_END
