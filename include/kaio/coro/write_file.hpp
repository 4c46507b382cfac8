// write_file: makes any bytes the whole content of a file, with direct I/O or without.
//     std::vector<std::byte> const state = encode(table);
//     (co_await kaio::write_file(loop, file, state)).value("write the state");
//     (co_await loop.submit(kaio::fdatasync(file))).value("make it durable");
// Direct I/O writes whole blocks from aligned memory. What is aligned is written straight from the caller's memory, and
// the rest through a buffer of kaio's own. It belongs to the loop's thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>

#include <kaio/coro/detail/contiguous_progress.hpp>
#include <kaio/coro/detail/pieces.hpp>
#include <kaio/coro/detail/write_piece.hpp>
#include <kaio/coro/for_each_concurrent.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/offload.hpp>
#include <kaio/loop/transfer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

// Writes `content` from the beginning of `file`, any truncatable_file, on: a MiB at a time, four at once, the last
// block filled up with zeros. Then a helper sets the file's size by file.try_truncate; in a loop without helpers that may
// block the thread. The file and the memory must stay until the task has finished, and the bytes must not change.
//
// The result is the number of bytes written from the beginning on. After an error the size is not set, and the file may
// hold any part of the rest. Success says nothing about permanence: fdatasync does, and file::close may still report an
// error.
// Errors: those of fully() and try_truncate; ENOMEM; EINVAL for a file with O_APPEND, which can be written at its end
// only. Allocates: frames, and a buffer for each piece that is not aligned. System calls beside the requests: fcntl,
// ftruncate.
template <class Loop, truncatable_file File>
task<transfer_result> write_file(Loop& io_loop, const File& file, view<const std::byte> content) {
    if constexpr (requires { file.appends(); })
        if (file.appends()) co_return transfer_result(0, EINVAL);
    detail::contiguous_progress progress;
    co_await for_each_concurrent(
        detail::pieces(0, content.size()), detail::pieces::at_once, [&](detail::pieces::piece piece) {
            return detail::write_piece(io_loop, file, piece, content.data() + piece.offset, progress);
        });
    transfer_result const written = progress.result(0, content.size());
    if (!written) co_return written;
    auto const cut = co_await io_loop.offload([&] { return file.try_truncate(content.size()); });
    co_return transfer_result(written.bytes(), cut ? 0 : cut.error().value());
}

} // namespace kaio
KAIO_COROUTINES_END
