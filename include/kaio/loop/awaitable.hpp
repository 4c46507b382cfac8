// awaitable: what `co_await loop.submit(request)` awaits, in a coroutine of any type.
//     kaio::io_result const result = co_await loop.submit(kaio::read(file, buffer, 0));
//     auto poll = loop.submit(kaio::poll(socket, POLLIN)); // kept, so that another coroutine can name it:
//     co_await poll;                                       // loop.cancel(poll)
// The operation lies in the coroutine's frame, so a request allocates nothing. It belongs to its loop's thread. The
// coroutine resumes inside the loop's poll or run, or its destructor, on the stack of that call.
#pragma once

#include <cassert>
#include <cstdint>
#include <type_traits>

#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/detail/transfer_progress.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD {

// Made by basic_loop::submit. REQUIRES: it is awaited once at most. Destroying it, with the frame it is in, while it is
// in flight ends the program with a message: the kernel would write into memory that is gone.
// `Core` is the loop's.
template <class Core, class What>
class [[nodiscard("kaio: nothing is submitted until it is awaited: co_await loop.submit(...)")]] awaitable final
    : public operation {
    static constexpr bool whole = std::is_same_v<What, whole_transfer>;
    static constexpr bool timed = std::is_same_v<What, timer>;

public:
    awaitable(Core& loop, const request& request) noexcept : operation(nullptr), loop_(loop) {
        core_of(*this).set_request(request.block());
    }
    awaitable(Core& loop, const whole_transfer& transfer) noexcept
        : operation(nullptr), loop_(loop), state_(transfer.progress) {
        core_of(*this).set_request(transfer.first);
    }
    awaitable(Core& loop, timer timer) noexcept : operation(nullptr), loop_(loop), state_(timer.delay.ns()) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    awaitable(awaitable&& other) noexcept : operation(nullptr), loop_(other.loop_), state_(other.state_) {
        assert(!other.frame_ && "kaio: an awaitable was moved after it had been awaited");
        core_of(*this).set_request(core_of(other).as.request);
    }
    awaitable(const awaitable&) = delete;
    awaitable& operator=(const awaitable&) = delete;
    ~awaitable() {
        if (frame_) [[unlikely]]
            destroyed_while_busy();
    }

    static constexpr bool await_ready() noexcept { return false; }

    template <class Coroutine> void await_suspend(Coroutine frame) noexcept {
        core_of(*this).complete = &complete<Coroutine>;
        frame_ = frame.address();
        loop_.make_busy(core_of(*this));
        if constexpr (timed)
            loop_.start_timer(core_of(*this), state_);
        else
            loop_.start(core_of(*this));
    }

    // An io_result, or for fully() a transfer_result. Clang warns if it is dropped. GCC 12 has no such warning for what
    // is awaited.
    [[nodiscard("kaio: the result says whether it failed, and how many bytes were transferred")]] auto
    await_resume() noexcept
        requires(!timed)
    {
        frame_ = nullptr;
        if constexpr (whole)
            return transfer_result(state_.bytes(), state_.error());
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
    template <class Coroutine>
    static void complete(detail::operation_core& core, detail::operation_slab&, io_result result) {
        auto& self = static_cast<awaitable&>(of(core));
        if constexpr (whole) {
            if (self.state_.continues(core.as.request, result.res())) return self.loop_.start(core);
        } else {
            self.state_ = result.res();
        }
        Coroutine::from_address(self.frame_).resume();
    }

    Core& loop_;
    void* frame_ = nullptr; // of the coroutine that awaits it, while it does
    // A union, so that -Weffc++ doesn't ask for a value that would be overwritten.
    union {
        // Of a timer its delay, and of all but whole transfers in the end the result.
        std::conditional_t<whole, detail::transfer_progress, std::int64_t> state_;
    };
};

} // namespace kaio
