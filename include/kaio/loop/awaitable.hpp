// awaitable: what `co_await loop.submit(what)` waits for. The operation lies in the coroutine's frame, so a request
// allocates nothing. Works in any coroutine type. It belongs to its loop's thread, and the coroutine resumes inside the
// loop's poll or run (or the loop's destructor), on the stack of whoever called that.
#pragma once

#include <cassert>
#include <cstdint>
#include <type_traits>

#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer_queue.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD {

// Made by basic_loop::submit. It may be kept in a variable of the coroutine, so that basic_loop::cancel can name it.
// REQUIRES: it is awaited once at most. Destroying it (with the frame it is in) while it is in flight ends the program
// with a message: the kernel would write into memory that is gone.
template <class Loop, class What>
class [[nodiscard("kaio: nothing is submitted until it is awaited: co_await loop.submit(...)")]] awaitable final
    : public operation {
    static constexpr bool whole = std::is_same_v<What, whole_transfer>;
    static constexpr bool timed = std::is_same_v<What, timer>;

public:
    awaitable(Loop& in, const request& what) noexcept : operation(nullptr, what.block()), loop_(in) {}
    awaitable(Loop& in, const whole_transfer& transfer) noexcept
        : operation(nullptr, transfer.first.block()), loop_(in), state_(transfer.progress) {}
    awaitable(Loop& in, timer t) noexcept : loop_(in), state_(t.delay.ns()) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    awaitable(awaitable&& other) noexcept : operation(nullptr, other.block_), loop_(other.loop_), state_(other.state_) {
        assert(!other.frame_ && "kaio: an awaitable was moved after it had been awaited");
    }
    awaitable(const awaitable&) = delete;
    awaitable& operator=(const awaitable&) = delete;
    ~awaitable() {
        if (frame_) [[unlikely]]
            destroyed_while_busy();
    }

    static constexpr bool await_ready() noexcept { return false; }

    template <class Coroutine> void await_suspend(Coroutine frame) noexcept {
        complete_ = &complete<Coroutine>;
        frame_ = frame.address();
        set_busy(loop_.context_.process_mark());
        if constexpr (timed)
            loop_.start_timer(*this, state_);
        else
            loop_.start(*this);
    }

    // An io_result, or for fully() a transfer_result. Clang warns if it is dropped; GCC 12 has no such warning for what
    // is awaited.
    [[nodiscard("kaio: the result says whether it failed, and how many bytes were transferred")]] auto
    await_resume() noexcept
        requires(!timed)
    {
        frame_ = nullptr;
        if constexpr (whole)
            return state_.result();
        else
            return io_result(state_);
    }
    // Of a timer: it may be dropped.
    io_result await_resume() noexcept
        requires timed
    {
        frame_ = nullptr;
        return io_result(state_);
    }

private:
    template <class Coroutine> static void complete(operation& self, operation_slab&, io_result result) {
        auto& op = static_cast<awaitable&>(self);
        if constexpr (whole) {
            if (op.state_.goes_on(op, result.res())) return op.loop_.start(op);
        } else {
            op.state_ = result.res();
        }
        Coroutine::from_address(op.frame_).resume();
    }

    Loop& loop_;
    void* frame_ = nullptr; // of the coroutine that waits, while it does
    // A union, so that -Weffc++ doesn't ask for a value that would be overwritten.
    union {
        std::conditional_t<whole, transfer_progress, std::int64_t> state_; // the delay of a timer; then the result
    };
};

} // namespace kaio
