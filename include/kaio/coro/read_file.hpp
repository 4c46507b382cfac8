// read_file: the whole content of a file, with direct I/O or without.
//     std::vector<std::byte> const state = (co_await kaio::read_file(loop, "state")).value("read the state");
// It belongs to the loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include <fcntl.h>

#include <kaio/coro/async_file.hpp>
#include <kaio/coro/read_range.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/transfer.hpp>
#include <kaio/sys/narrow.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

namespace detail {

// Returns false if there is no memory. Without exceptions that ends the program.
inline bool resize(std::vector<std::byte>& bytes, std::uint64_t size) noexcept {
    if (size > bytes.max_size()) return false;
#if defined(__cpp_exceptions)
    try {
        bytes.resize(kaio::detail::narrow<std::size_t>(size));
    } catch (const std::bad_alloc&) {
        return false;
    }
#else
    bytes.resize(kaio::detail::narrow<std::size_t>(size));
#endif
    return true;
}

} // namespace detail

// Reads `file`, any open_file, from its beginning to its end, as read_range does. It goes on until the file says that it
// ends, so what has no size of its own is read too (in /proc, of what io_submit reads there at all). What others write meanwhile is in it or not. The file must
// stay until the task has finished.
// Errors: those of read_range (EINVAL for a directory); ENOMEM. Allocates: the content, frames, and a buffer for each MiB of direct I/O.
// System calls beside the requests: fstat, on a helper.
template <class Loop, open_file File> task<result<std::vector<std::byte>>> read_file(Loop& io_loop, const File& file) {
    std::uint64_t room = 4096;
    if constexpr (requires { file.try_size(); }) {
        result<std::uint64_t> const size = co_await async_size(io_loop, file);
        if (size && *size >= room) room = *size + 1; // the byte that is missing then tells that the file ends
    }
    std::vector<std::byte> content;
    for (std::size_t count = 0;; room *= 2) {
        if (!detail::resize(content, room)) co_return failure(ENOMEM);
        view<std::byte> const rest = view<std::byte>(content).subspan(count);
        transfer_result const read = co_await read_range(io_loop, file, rest, count);
        if (!read) co_return failure(read.error());
        count += read.bytes();
        if (read.bytes() == rest.size()) continue;
        content.resize(count);
        co_return std::move(content);
    }
}

// The same for a path, which must stay until the task has finished. Errors: also those of open.
template <class Loop> task<result<std::vector<std::byte>>> read_file(Loop& io_loop, const char* path) {
    result<file> const opened = co_await async_open(io_loop, path, O_RDONLY);
    if (!opened) co_return failure(opened.error());
    co_return co_await read_file(io_loop, *opened);
}

} // namespace kaio
KAIO_COROUTINES_END
