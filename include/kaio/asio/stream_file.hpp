// stream_file: asio::stream_file on native AIO, where Asio has no files: on Linux without io_uring.
//     asio::io_context context;
//     kaio::stream_file file(context, "data", kaio::stream_file::write_only | kaio::stream_file::create);
//     asio::async_write(file, asio::buffer(text), [](asio::error_code error, std::size_t count) { … });
//     context.run();
// As random_access_file (kaio/asio/random_access_file.hpp), but each transfer begins where the last one ended. Native
// AIO has no current position, so the file has its own. It begins at that of the descriptor, which release() sets. One
// transfer at a time, as with Asio's: a second one would begin where the first one did.
// Not in kaio/kaio.hpp: kaio itself does not need Asio.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <unistd.h>

#include <kaio/asio/detail/basic_file.hpp>
#include <kaio/asio/detail/file_position.hpp>
#include <kaio/asio/detail/library.hpp>

namespace kaio::inline KAIO_BUILD::inline KAIO_ASIO {

// A file with a position, which each transfer moves on. `Executor`: whose handlers it calls.
template <class Executor = detail::net::any_io_executor>
class basic_stream_file : public detail::basic_file<Executor, detail::stream_position> {
    using base = detail::basic_file<Executor, detail::stream_position>;
    using default_token = typename detail::net::default_completion_token<Executor>::type;

public:
    // The same file class for another executor.
    template <class Other> struct rebind_executor {
        // It.
        using other = basic_stream_file<Other>;
    };
    using base::base;

    // Moves the position and returns it, in bytes from the beginning. Errors: EINVAL before the beginning, EBADF.
    std::uint64_t seek(std::int64_t offset, file_base::seek_basis whence) {
        return base::throwing("seek", [&](auto& error) { return seek(offset, whence, error); });
    }
    std::uint64_t seek(std::int64_t offset, file_base::seek_basis whence, detail::error_code& error) {
        // The descriptor's own position is not used, so it may be moved to find the place.
        int const fd = this->file_.fd();
        if (whence == file_base::seek_cur)
            (void)::lseek(fd, static_cast<off_t>(this->position_.start(fd, 0)), SEEK_SET);
        auto const found = ::lseek(fd, static_cast<off_t>(offset), whence);
        error = found < 0 ? detail::error_code(errno, detail::net::error::get_system_category()) : detail::error_code();
        if (found < 0) return 0;
        this->position_.set(static_cast<std::uint64_t>(found));
        return static_cast<std::uint64_t>(found);
    }

    // Reads and returns the number of bytes. Blocks.
    template <class MutableBuffers> std::size_t read_some(const MutableBuffers& buffers) {
        return base::throwing("read_some", [&](auto& error) { return read_some(buffers, error); });
    }
    template <class MutableBuffers> std::size_t read_some(const MutableBuffers& buffers, detail::error_code& error) {
        return base::transfer(true, 0, buffers, error);
    }

    // Writes and returns the number of bytes. Blocks.
    template <class ConstBuffers> std::size_t write_some(const ConstBuffers& buffers) {
        return base::throwing("write_some", [&](auto& error) { return write_some(buffers, error); });
    }
    template <class ConstBuffers> std::size_t write_some(const ConstBuffers& buffers, detail::error_code& error) {
        return base::transfer(false, 0, buffers, error);
    }

    // The same without blocking, if the file is open for direct I/O. The handler is a void(error_code, std::size_t).
    template <class MutableBuffers, class Token = default_token>
    decltype(auto) async_read_some(const MutableBuffers& buffers, Token&& token = Token()) {
        return base::template async_transfer<Token>(true, 0, buffers, token);
    }
    template <class ConstBuffers, class Token = default_token>
    decltype(auto) async_write_some(const ConstBuffers& buffers, Token&& token = Token()) {
        return base::template async_transfer<Token>(false, 0, buffers, token);
    }
};

// The file for any executor.
using stream_file = basic_stream_file<>;

} // namespace kaio::inline KAIO_ASIO
