// awaitable: what `co_await loop.submit(request)` awaits, in a coroutine of any type.
//     kaio::io_result const result = co_await loop.submit(kaio::read(file, buffer, 0));
//     auto poll = loop.submit(kaio::poll(socket, POLLIN)); // kept, so that another coroutine can name it:
//     co_await poll;                                       // loop.cancel(poll)
// The operation lies in the coroutine's frame, so a request allocates nothing. It belongs to its loop's thread. The
// coroutine resumes inside the loop's poll or run, or its destructor, on the stack of that call.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <type_traits>
#include <utility>

#include <kaio/io/owning.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/detail/transfer_progress.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/timer.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD {

namespace detail {

// What an awaitable keeps of what it submits: the work, and a buffer if that is handed over.
struct no_buffer {};
template <class What> struct parts_of {
    using work = What;
    using buffer = no_buffer;
};
template <class Work, class Buffer> struct parts_of<owning<Work, Buffer>> {
    using work = Work;
    using buffer = Buffer;
};

} // namespace detail

// Made by basic_loop::submit. REQUIRES: it is awaited once at most. Destroying it, with the frame it is in, while it is
// in flight ends the program with a message: the kernel would write into memory that is gone. One that is destroyed and
// was never awaited says so on stderr in a debug build, because its request was not submitted. `Core` is the loop's.
template <class Core, class What>
class [[nodiscard("kaio: nothing is submitted until it is awaited: co_await loop.submit(...)")]] awaitable final
    : public operation {
    using work = typename detail::parts_of<What>::work;
    using buffer = typename detail::parts_of<What>::buffer;
    static constexpr bool whole = std::is_same_v<work, whole_transfer>;
    static constexpr bool timed = std::is_same_v<work, timer>;
    static constexpr bool owns = detail::is_owning<What>;

public:
    // A request, a transfer or a timer, or what owns its buffer.
    using submits = What;

    awaitable(Core& loop, const request& submitted) noexcept
        requires std::is_same_v<What, request>
        : operation(nullptr), loop_(loop) {
        core_of(*this).set_request(submitted.block());
    }
    awaitable(Core& loop, const whole_transfer& submitted) noexcept
        requires std::is_same_v<What, whole_transfer>
        : operation(nullptr), loop_(loop), state_(submitted.progress) {
        core_of(*this).set_request(submitted.first);
    }
    awaitable(Core& loop, timer submitted) noexcept
        requires timed
        : operation(nullptr), loop_(loop), state_(submitted.delay.ns()) {}
    awaitable(Core& loop, What&& submitted) noexcept(std::is_nothrow_move_constructible_v<buffer>)
        requires(owns && !whole)
        : operation(nullptr), loop_(loop), buffer_(std::move(submitted.buffer())) {
        core_of(*this).set_request(submitted.work().block());
    }
    awaitable(Core& loop, What&& submitted) noexcept(std::is_nothrow_move_constructible_v<buffer>)
        requires(owns && whole)
        : operation(nullptr), loop_(loop), state_(submitted.work().progress), buffer_(std::move(submitted.buffer())) {
        core_of(*this).set_request(submitted.work().first);
    }
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    awaitable(awaitable&& other) noexcept(std::is_nothrow_move_constructible_v<buffer>)
        : operation(nullptr), loop_(other.loop_), state_(other.state_), buffer_(std::move(other.buffer_)) {
        assert(!other.frame_ && "kaio: an awaitable was moved after it had been awaited");
        core_of(*this).set_request(core_of(other).as.request);
        core_of(other).complete = &moved_from;
    }
    awaitable(const awaitable&) = delete;
    awaitable& operator=(const awaitable&) = delete;
    ~awaitable() {
        if (frame_) [[unlikely]]
            destroyed_while_busy();
#if !defined(NDEBUG)
        if (core_of(*this).complete == nullptr)
            std::fputs(
                "kaio: loop.submit(...) was never awaited, so nothing was submitted: write co_await before it, or "
                "give it a handler\n",
                stderr);
#endif
    }

    // For `co_await`: the operation is submitted when the coroutine has been suspended.
    static constexpr bool await_ready() noexcept { return false; }
    template <class Coroutine> void await_suspend(Coroutine frame) noexcept {
        core_of(*this).complete = &complete<Coroutine>;
        frame_ = frame.address();
        if constexpr (owns) core_of(*this).set_buffer(buffer_);
        loop_.make_busy(core_of(*this));
        if constexpr (timed)
            loop_.start_timer(core_of(*this), state_);
        else
            loop_.start(core_of(*this));
    }

    // An io_result, or for fully() a transfer_result; with the buffer in a std::pair if that was handed over. Clang
    // warns if it is dropped. GCC 12 has no such warning for what is awaited.
    [[nodiscard("kaio: the result says whether it failed, and how many bytes were transferred")]] auto
    await_resume() noexcept(std::is_nothrow_move_constructible_v<buffer>)
        requires(!timed)
    {
        frame_ = nullptr;
        if constexpr (owns)
            return std::pair<decltype(result()), buffer>(result(), std::move(buffer_));
        else
            return result();
    }
    // Of a timer: it may be dropped.
    io_result await_resume() noexcept
        requires timed
    {
        frame_ = nullptr;
        return io_result(state_);
    }

    // For kaio's own headers, which submit it with a handler: what it would submit, which it does not have afterwards.
    // REQUIRES: it has not been awaited
    What unsubmitted() &&
        requires owns
    {
        dismiss();
        const iocb& block = core_of(*this).as.request;
        if constexpr (whole)
            return {{block, state_}, std::move(buffer_)};
        else
            return {request(block), std::move(buffer_)};
    }
    // Submits that. Returns false if there is no memory, and then it still has its buffer.
    template <class Handler> bool submit(What& what, Handler&& handler) {
        bool const submitted = loop_.submit(std::move(what), std::forward<Handler>(handler));
        loop_.slab.grow_if_exhausted();
        return submitted;
    }
    Core& loop() const noexcept { return loop_; }
    // It is not submitted, and has that error. REQUIRES: it has not been awaited
    void refuse(int error) noexcept {
        dismiss();
        if constexpr (whole)
            (void)state_.continues(core_of(*this).as.request, -error);
        else
            state_ = -error;
    }
    // It will never be awaited, and that is no mistake.
    void dismiss() noexcept { core_of(*this).complete = &moved_from; }

private:
    auto result() const noexcept {
        if constexpr (whole)
            return transfer_result(state_.bytes(), state_.error());
        else
            return io_result(state_);
    }

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
    static void moved_from(detail::operation_core&, detail::operation_slab&, io_result) noexcept {} // never called

    Core& loop_;
    void* frame_ = nullptr; // of the coroutine that awaits it, while it does
    // A union, so that -Weffc++ doesn't ask for a value that would be overwritten.
    union {
        // Of a timer its delay, and of all but whole transfers in the end the result.
        std::conditional_t<whole, detail::transfer_progress, std::int64_t> state_;
    };
    [[no_unique_address]] buffer buffer_{}; // handed over, and handed back with the result
};

} // namespace kaio
