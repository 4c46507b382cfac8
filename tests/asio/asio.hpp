// The Asio that a test is built for, as `asio`. Tests of both are in one program, so their names differ.
#pragma once

#ifdef KAIO_BOOST_ASIO

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_at.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/asio/write_at.hpp>
#if __has_include(<boost/asio/bind_cancellation_slot.hpp>)
#include <boost/asio/bind_cancellation_slot.hpp>
#endif
namespace asio = boost::asio;
using error_code = boost::system::error_code;
using system_error = boost::system::system_error;
#define WITH_ASIO "with Boost.Asio, "

#else

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/io_context.hpp>
#include <asio/read.hpp>
#include <asio/read_at.hpp>
#include <asio/redirect_error.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#include <asio/write.hpp>
#include <asio/write_at.hpp>
using asio::error_code;
using asio::system_error;
#define WITH_ASIO "with Asio, "

#endif

#include <cstddef>
#include <optional>
#include <vector>

#include "support/temporary_file.hpp"

namespace test {

// What a handler was called with, if it was.
struct outcome {
    error_code error;
    std::size_t bytes;
};
inline auto into(std::optional<outcome>& result) {
    return [&result](const error_code& error, std::size_t bytes) { result = outcome{error, bytes}; };
}

// Runs the context until the kernel has what was started. No handler is called yet.
inline void hand_over(asio::io_context& context) {
    bool handed_over = false;
    context.restart();
    asio::post(context, [&] { handed_over = true; });
    while (!handed_over && context.run_one() != 0) {
    }
}

inline bool has_content(const std::vector<unsigned char>& bytes, std::size_t offset) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != temporary_file::content(offset + i)) return false;
    return true;
}

} // namespace test
