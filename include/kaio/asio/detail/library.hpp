// Which Asio the files belong to: the standalone one (Debian's libasio-dev), or Boost's (libboost-dev) if the macro
// KAIO_BOOST_ASIO is defined or there is no other. Each has an inline namespace of its own, so source files with the
// one and source files with the other can be parts of one program. Only Asio's public interface is used.
#pragma once

#include <kaio/sys/cpp20.hpp>

#if !defined(KAIO_BOOST_ASIO) && __has_include(<asio/any_io_executor.hpp>)
#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/buffer.hpp>
#include <asio/defer.hpp>
#include <asio/error.hpp>
#include <asio/error_code.hpp>
#include <asio/execution.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <asio/query.hpp>
#include <asio/strand.hpp>
#include <asio/system_error.hpp>
#if __has_include(<asio/associated_cancellation_slot.hpp>) // since Asio 1.19
#define KAIO_ASIO_HAS_SLOTS
#include <asio/associated_cancellation_slot.hpp>
#include <asio/cancellation_type.hpp>
#endif
#if __has_include(<asio/recycling_allocator.hpp>) // since Asio 1.22
#define KAIO_ASIO_HAS_RECYCLING
#include <asio/recycling_allocator.hpp>
#endif
#if defined(ASIO_HAS_FILE) // Asio has files itself: it is built with io_uring
#define KAIO_ASIO_HAS_FILE
#include <asio/file_base.hpp>
#endif
#define KAIO_ASIO over_asio
namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {
namespace net = ::asio;
using net::error_code;
using net::system_error;
} // namespace kaio::detail::inline KAIO_ASIO
#elif __has_include(<boost/asio/any_io_executor.hpp>)
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#if __has_include(<boost/asio/associated_cancellation_slot.hpp>) // since Boost 1.77
#define KAIO_ASIO_HAS_SLOTS
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#endif
#if __has_include(<boost/asio/recycling_allocator.hpp>) // since Boost 1.79
#define KAIO_ASIO_HAS_RECYCLING
#include <boost/asio/recycling_allocator.hpp>
#endif
#if defined(BOOST_ASIO_HAS_FILE)
#define KAIO_ASIO_HAS_FILE
#include <boost/asio/file_base.hpp>
#endif
#define KAIO_ASIO over_boost_asio
namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {
namespace net = ::boost::asio;
using boost::system::error_code;
using boost::system::system_error;
} // namespace kaio::detail::inline KAIO_ASIO
#else
#error "kaio/asio needs Asio 1.18 or later (Debian's libasio-dev), or Boost 1.74 or later (libboost-dev)"
#include <kaio: see the error above>
#endif
