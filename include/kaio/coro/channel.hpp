// channel<T>: passes values from coroutines to coroutines, in order, with room for a fixed number of them. Who sends
// waits while it is full, and who receives while it is empty.
//     kaio::channel<block> filled(4);
//     bool const sent = co_await filled.send(std::move(next));         // false: it was closed
//     std::optional<block> const received = co_await filled.receive(); // nothing: closed, and all was received
// One thread. docs/decisions/resuming-who-waits.md says how coroutines are resumed.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <kaio/coro/detail/resumptions.hpp>
#include <kaio/coro/detail/value_ring.hpp>
#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD {

// It stays where it is. Values arrive in the order in which they were sent. Nobody sends or receives before those that
// wait already. A coroutine that is destroyed while it waits no longer does: what it was to send is not sent, and it
// receives nothing. Destroying the channel while a coroutine waits ends the program with a message. But close() has
// ended all waits: those that it has not resumed yet go on although one before them destroys the channel.
// Allocates: nothing after construction. System calls: none.
template <class T> class channel {
    static_assert(std::is_object_v<T> && std::is_nothrow_move_constructible_v<T>,
                  "kaio: a channel's values must be movable without an exception");

public:
    // Has room for `capacity` values (0 counts as 1). Allocates: once. Errors: throws std::bad_alloc.
    explicit channel(std::size_t capacity) : values_(capacity == 0 ? 1 : capacity) {}
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    ~channel() {
        if (!senders_.empty() || !receivers_.empty()) [[unlikely]]
            detail::end_program("kaio: a channel was destroyed while coroutines wait for it\n");
    }

    // How many values it keeps while nobody receives them.
    std::size_t capacity() const noexcept { return values_.capacity(); }
    // Values that were sent and not received.
    std::size_t size() const noexcept { return values_.size(); }
    // True after close().
    bool closed() const noexcept { return closed_; }

    // `co_await` of it returns true when the channel has the value, or false if it is closed before it has. The value
    // is lost then. Where a coroutine waits to receive, it is resumed on the sender's stack.
    // Errors: throws what the resumption of another coroutine throws (of a task: nothing).
    [[nodiscard("kaio: nothing is sent until it is awaited: co_await channel.send(value)")]] auto
    send(T value) noexcept {
        return sending(*this, std::move(value));
    }

    // Sends the value if that needs no waiting, and returns whether. If not, the value is as it was.
    [[nodiscard]] bool try_send(T&& value) {
        if (closed_ || !can_send()) return false;
        values_.push(std::move(value));
        resume_waiters();
        return true;
    }
    [[nodiscard]] bool try_send(const T& value)
        requires std::is_copy_constructible_v<T>
    {
        return !closed_ && can_send() && try_send(T(value));
    }

    // `co_await` of it returns a value, as std::optional, or nothing if the channel is closed and has no more. Where a
    // coroutine waits to send, it is resumed on the receiver's stack. Errors: those of send.
    [[nodiscard("kaio: nothing is received until it is awaited: co_await channel.receive()")]] auto receive() noexcept {
        return receiving(*this);
    }

    // Returns a value if that needs no waiting.
    [[nodiscard]] std::optional<T> try_receive() {
        std::optional<T> value;
        if (can_receive()) {
            value.emplace(values_.pop());
            resume_waiters();
        }
        return value;
    }

    // From now on nothing can be sent. What was sent can still be received. Resumes all that wait: receivers get
    // nothing, and senders get false and keep no value. A second call does nothing. Errors: those of send. The channel
    // may be gone when it returns, if one of them destroys it.
    void close() {
        closed_ = true;
        if (values_.size() == 0) resumptions_.ready().append(receivers_); // else those first get the values
        resumptions_.ready().append(senders_);
        resume_waiters();
    }

private:
    class sending final : public detail::wait_node {
    public:
        sending(channel& to, T&& value) noexcept : channel_(to), value_(std::move(value)) {}
        bool await_ready() {
            sent_ = channel_.try_send(std::move(value_));
            return sent_ || channel_.closed_;
        }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            channel_.senders_.push(*this, coroutine);
        }
        [[nodiscard("kaio: false: the channel is closed, and the value was not sent")]] bool
        await_resume() const noexcept {
            return sent_;
        }

    private:
        friend channel;

        channel& channel_;
        T value_;
        bool sent_ = false;
    };

    class receiving final : public detail::wait_node {
    public:
        explicit receiving(channel& from) noexcept : channel_(from) {}
        bool await_ready() {
            bool const empty_forever = channel_.closed_ && channel_.values_.size() == 0;
            value_ = channel_.try_receive();
            return value_ || empty_forever;
        }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            channel_.receivers_.push(*this, coroutine);
        }
        std::optional<T> await_resume() noexcept { return std::move(value_); }

    private:
        friend channel;

        channel& channel_;
        std::optional<T> value_{};
    };

    // Without going before others.
    bool can_send() const noexcept { return senders_.empty() && values_.size() < values_.capacity(); }
    bool can_receive() const noexcept { return receivers_.empty() && values_.size() != 0; }

    void resume_waiters() {
        resumptions_.run([this]() noexcept { return next(); });
    }

    // A coroutine that waits and no longer has to, with what it waits for.
    detail::wait_node* next() noexcept {
        if (!receivers_.empty() && (closed_ || values_.size() != 0)) {
            auto* const receiver = static_cast<receiving*>(receivers_.pop());
            if (values_.size() != 0) receiver->value_.emplace(values_.pop());
            return receiver;
        }
        if (!senders_.empty() && values_.size() < values_.capacity()) {
            auto* const sender = static_cast<sending*>(senders_.pop());
            values_.push(std::move(sender->value_));
            sender->sent_ = true;
            return sender;
        }
        return nullptr;
    }

    detail::value_ring<T> values_;   // sent, and not received
    detail::wait_queue senders_{};   // if not empty: it is full, or next is to resume them
    detail::wait_queue receivers_{}; // if not empty: it is empty, or next is to resume them
    detail::resumptions resumptions_{};
    bool closed_ = false;
};

} // namespace kaio
