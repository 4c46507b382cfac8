// random_access_file: asio::random_access_file on native AIO, where Asio has no files: on Linux without io_uring.
//     asio::io_context context;
//     kaio::random_access_file file(context, "data", kaio::random_access_file::read_only);
//     file.async_read_some_at(offset, asio::buffer(bytes), [](asio::error_code error, std::size_t count) { … });
//     context.run();
// It has the interface of Asio's, for standalone Asio and for Boost's (kaio/asio/detail/library.hpp says which). So it
// works with asio::async_read_at, use_awaitable, deferred, strands, and several threads that run the io_context.
//
// Use it with file_base::direct, and buffers, offsets and sizes that suit: an unaligned transfer fails with EINVAL.
// Without that flag the kernel does the I/O while it is submitted, so a read that the page cache can't serve blocks a
// thread of the io_context.
//
// A transfer may be short. A read at the end of the file fails with asio::error::eof. The file may be closed, moved or
// destroyed while the kernel has a transfer, whose buffers must stay until its handler is called. The io_context's
// destructor waits for the kernel, and calls no handler. docs/asio.md has the whole contract.
// Not in kaio/kaio.hpp: kaio itself does not need Asio.
#pragma once

#include <cstddef>
#include <cstdint>

#include <kaio/asio/detail/basic_file.hpp>
#include <kaio/asio/detail/file_position.hpp>
#include <kaio/asio/detail/library.hpp>

namespace kaio::inline KAIO_BUILD::inline KAIO_ASIO {

// A file that is read and written at offsets. `Executor`: whose handlers it calls.
template <class Executor = detail::net::any_io_executor>
class basic_random_access_file : public detail::basic_file<Executor, detail::no_position> {
    using base = detail::basic_file<Executor, detail::no_position>;
    using default_token = typename detail::net::default_completion_token<Executor>::type;

public:
    // The same file class for another executor.
    template <class Other> struct rebind_executor {
        // It.
        using other = basic_random_access_file<Other>;
    };
    using base::base;

    // Reads at `offset`, in bytes, and returns the number of bytes. Blocks.
    template <class MutableBuffers> std::size_t read_some_at(std::uint64_t offset, const MutableBuffers& buffers) {
        return base::throwing("read_some_at", [&](auto& error) { return read_some_at(offset, buffers, error); });
    }
    template <class MutableBuffers>
    std::size_t read_some_at(std::uint64_t offset, const MutableBuffers& buffers, detail::error_code& error) {
        return base::transfer(true, offset, buffers, error);
    }

    // Writes at `offset`, in bytes, and returns the number of bytes. Blocks.
    template <class ConstBuffers> std::size_t write_some_at(std::uint64_t offset, const ConstBuffers& buffers) {
        return base::throwing("write_some_at", [&](auto& error) { return write_some_at(offset, buffers, error); });
    }
    template <class ConstBuffers>
    std::size_t write_some_at(std::uint64_t offset, const ConstBuffers& buffers, detail::error_code& error) {
        return base::transfer(false, offset, buffers, error);
    }

    // The same without blocking, if the file is open for direct I/O. The handler is a void(error_code, std::size_t).
    template <class MutableBuffers, class Token = default_token>
    decltype(auto) async_read_some_at(std::uint64_t offset, const MutableBuffers& buffers, Token&& token = Token()) {
        return base::template async_transfer<Token>(true, offset, buffers, token);
    }
    template <class ConstBuffers, class Token = default_token>
    decltype(auto) async_write_some_at(std::uint64_t offset, const ConstBuffers& buffers, Token&& token = Token()) {
        return base::template async_transfer<Token>(false, offset, buffers, token);
    }
};

// The file for any executor.
using random_access_file = basic_random_access_file<>;

} // namespace kaio::inline KAIO_ASIO
