// owning_wait: a wait for a request that owns its buffer. It can end before the request does, because request and
// buffer lie in an operation of the loop and not in the coroutine's frame:
//
//     frame                      loop
//     owning_wait  ──────────►  operation: request, receiver, buffer
//                  ◄──────────
//
// The two name each other until the request has completed, or the wait is given up. From then on the request is the
// loop's alone. It belongs to its loop's thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <optional>
#include <type_traits>
#include <utility>

#include <kaio/coro/completed_or_in_flight.hpp>
#include <kaio/coro/detail/suspended.hpp>
#include <kaio/coro/detail/wait_queue.hpp>
#include <kaio/io/owning.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/transfer.hpp>
#include <kaio/sys/process.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// Takes no notice of what completes late. Its buffer is freed.
struct unnoticed {
    template <class Result, class Buffer> void operator()(Result, Buffer&&) const noexcept {}
};

template <class What> struct ending_of; // of a request that owns its buffer
template <class Buffer> struct ending_of<owning<request, Buffer>> {
    using buffer = Buffer;
    using type = completed_or_in_flight<io_result, Buffer>;
    static constexpr bool in_parts = false;
    static io_result error(int error_number) noexcept { return io_result(-error_number); }
};
template <class Buffer> struct ending_of<owning<whole_transfer, Buffer>> {
    using buffer = Buffer;
    using type = completed_or_in_flight<transfer_result, Buffer>;
    static constexpr bool in_parts = true;
    static transfer_result error(int error_number) noexcept { return transfer_result(0, error_number); }
};

// `Awaitable` would submit a `What`. `Late` is called with the result and the buffer that nobody waits for any more.
template <class Awaitable, class What, class Late> class owning_wait {
    using operation = std::remove_pointer_t<decltype(std::declval<Awaitable&>().loop().slab.first_free())>;
    using ending = ending_of<What>;
    using buffer = typename ending::buffer;
    using result = decltype(ending::error(0));
    static_assert(std::is_nothrow_move_constructible_v<buffer> && std::is_nothrow_move_constructible_v<Late>,
                  "kaio: a wait can be given up only if the buffer, and the handler for what completes late, are "
                  "moved without an exception");
    static_assert(std::is_invocable_v<Late&, result, buffer>,
                  "kaio: the handler for what completes late must be callable with the result (a kaio::io_result, or "
                  "for fully() a kaio::transfer_result) and the buffer");

public:
    owning_wait(Awaitable&& request, Late&& late) noexcept : request_(std::move(request)), late_(std::move(late)) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    owning_wait(owning_wait&& other) noexcept : request_(std::move(other.request_)), late_(std::move(other.late_)) {}
    owning_wait(const owning_wait&) = delete;
    owning_wait& operator=(const owning_wait&) = delete;
    // As an operation that is destroyed while it is in flight: in a forked child it is the parent's.
    ~owning_wait() {
        if (receiver_ && *process_ != mark_of_child) [[unlikely]]
            end_program("kaio: a coroutine was destroyed while it waits for a request\n");
    }

    static constexpr bool await_ready() noexcept { return false; }

    // Returns false if there is no memory for the operation, which is then the result.
    template <class Coroutine> bool await_suspend(Coroutine coroutine) noexcept {
        auto& loop = request_.loop();
        What what = std::move(request_).unsubmitted();
        waiting_ = suspended(coroutine);
        process_ = loop.context.process_mark();
        operation_ = loop.slab.first_free();
        if (request_.submit(what, receiver(*this, std::move(late_)))) return true;
        receiver_ = nullptr;
        completed_.emplace(ending::error(loop.capacity == 0 ? EINVAL : ENOMEM), std::move(what.buffer()));
        return false;
    }

    typename ending::type await_resume() noexcept {
        if (!completed_) return {};
        return {completed_->first, std::move(completed_->second)};
    }

    // For await_ready: never submits.
    void end_unawaited() noexcept {
        completed_.emplace(ending::error(ECANCELED), std::move(std::move(request_).unsubmitted().buffer()));
    }

    // Gives up the wait. Returns true if it is over. If not, the request has completed, or the kernel was never given
    // it: then its result comes soon. Of a transfer that is under way nobody knows whether a part of it was the last.
    // REQUIRES: it is waiting
    bool end() noexcept {
        auto& loop = request_.loop();
        if (!ends_soon_) ends_soon_ = loop.withdraw(*operation_);
        if (ends_soon_ || (!ending::in_parts && loop.completions.has_event_of(*operation_))) return false;
        receiver_->forget();
        receiver_ = nullptr;
        return true;
    }

private:
    // The handler of the request. It is moved to where the operation is, and from there to where it is called.
    class receiver {
    public:
        receiver(owning_wait& wait, Late&& late) noexcept : wait_(&wait), late_(std::move(late)) { link(); }
        receiver(receiver&& other) noexcept
            : wait_(std::exchange(other.wait_, nullptr)), late_(std::move(other.late_)) {
            if (wait_) link();
        }
        receiver(const receiver&) = delete;
        receiver& operator=(const receiver&) = delete;

        void forget() noexcept { wait_ = nullptr; }

        void operator()(result how, buffer&& handed_back) {
            if (wait_)
                wait_->completed(how, std::move(handed_back));
            else
                late_(how, std::move(handed_back));
        }

    private:
        // Not inline, or GCC fears that the wait keeps the address of one that is gone (-Wdangling-pointer).
        [[gnu::__noinline__]] void link() noexcept { wait_->receiver_ = this; }

        owning_wait* wait_; // null: nobody waits any more
        [[no_unique_address]] Late late_;
    };

    void completed(result how, buffer&& handed_back) {
        receiver_ = nullptr;
        completed_.emplace(how, std::move(handed_back));
        waiting_.coroutine().resume();
    }

    Awaitable request_;                 // until it is submitted
    [[no_unique_address]] Late late_;   // likewise
    operation* operation_ = nullptr;    // the loop's, while it waits
    receiver* receiver_ = nullptr;      // in there; null: it does not wait
    const unsigned* process_ = nullptr; // that it waits in
    suspended waiting_{};
    bool ends_soon_ = false; // with ECANCELED
    std::optional<std::pair<result, buffer>> completed_{};
};

} // namespace kaio::detail
