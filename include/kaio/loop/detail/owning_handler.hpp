// owning_handler: the handler of a request that owns its buffer, as a loop keeps both. It belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <class Handler, class Result, class Buffer>
inline constexpr bool takes_buffer = std::is_invocable_v<std::decay_t<Handler>&, Result, Buffer>;

template <class Buffer, class Handler> struct owning_handler {
    Buffer buffer;
    Handler handler;

    template <class Function>
    owning_handler(Buffer&& handed_over,
                   Function&& function) noexcept(std::is_nothrow_move_constructible_v<Buffer> &&
                                                 std::is_nothrow_constructible_v<Handler, Function>)
        : buffer(std::move(handed_over)), handler(std::forward<Function>(function)) {}

    // A handler that does not take the buffer is called while it is still there.
    template <class Result> void operator()(Result result) {
        if constexpr (takes_buffer<Handler, Result, Buffer>)
            handler(result, std::move(buffer));
        else
            handler(result);
    }
};

// Has the request name the buffer that its stored handler owns, if it owns one, where that lies now.
template <class Stored> void name_buffer(iocb&, const Stored&) noexcept {}
template <class Buffer, class Handler>
void name_buffer(iocb& request, owning_handler<Buffer, Handler>& stored) noexcept {
    request.aio_buf = reinterpret_cast<std::uintptr_t>(std::data(stored.buffer));
}

} // namespace kaio::detail
