// completed_or_in_flight: how the wait for a request that owns its buffer has ended. Either the request has completed,
// and its result and its buffer are here; or it is still in flight, and the loop has its buffer.
//     auto read = co_await kaio::with_timeout(loop, loop.submit(kaio::read(file, kaio::aligned_buffer(4096), 0)), 1s);
//     if (read.in_flight()) co_return; // the loop frees the buffer when the kernel has completed the read
//     use(read.result(), read.buffer());
// One thread at a time.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <optional>
#include <utility>

#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD {

// `Result` is an io_result, or for fully() a transfer_result. Allocates: nothing.
template <class Result, class Buffer>
class [[nodiscard("kaio: it says whether the request is still in flight, or how it ended")]] completed_or_in_flight {
public:
    completed_or_in_flight() noexcept = default; // in flight
    completed_or_in_flight(Result result, Buffer&& buffer) noexcept
        : completed_(std::in_place, result, std::move(buffer)) {}

    // True: the wait was given up, and the request goes on. Its buffer belongs to the loop until the kernel has
    // completed it.
    bool in_flight() const noexcept { return !completed_; }

    // These end the program with a message if the request is in flight: there is no buffer here that could be used.
    // A request that the kernel was never given has ECANCELED, or ENOMEM, and its buffer back.
    Result result() const noexcept {
        expect_completed();
        return completed_->first;
    }
    Buffer& buffer() & noexcept {
        expect_completed();
        return completed_->second;
    }
    const Buffer& buffer() const& noexcept {
        expect_completed();
        return completed_->second;
    }
    Buffer&& buffer() && noexcept { return std::move(buffer()); }

private:
    void expect_completed() const noexcept {
        if (!completed_) [[unlikely]]
            detail::end_program("kaio: a request has no result yet: it is still in flight, and the loop has its "
                                "buffer\n");
    }

    std::optional<std::pair<Result, Buffer>> completed_{}; // nothing: in flight
};

} // namespace kaio
