// wait_queue: coroutines that wait for something, first in, first out. Each has a wait_node in the awaitable in its
// frame, so waiting allocates nothing. A frame that is destroyed while it waits leaves the queue. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <cstdio>
#include <cstdlib>

#include <kaio/coro/detail/suspended.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// Neighbours in a ring, which the queue closes. What is in no queue is its own neighbour.
class wait_links {
public:
    wait_links(const wait_links&) = delete;
    wait_links& operator=(const wait_links&) = delete;

protected:
    wait_links() noexcept = default;
    ~wait_links() = default;

    bool linked() const noexcept { return next_ != this; }
    wait_links& next() const noexcept { return *next_; }

    void link_before(wait_links& other) noexcept {
        next_ = &other;
        previous_ = other.previous_;
        previous_->next_ = other.previous_ = this;
    }
    void unlink() noexcept {
        next_->previous_ = previous_;
        previous_->next_ = next_;
        next_ = previous_ = this;
    }

private:
    wait_links* next_ = this;
    wait_links* previous_ = this;
};

// The base of what is awaited.
class wait_node : private wait_links {
public:
    // What is to be resumed. REQUIRES: it has been in a queue
    std::coroutine_handle<> coroutine() const { return waiting_.coroutine(); }

    // Ends the wait: it is in no queue afterwards, and nobody resumes it.
    void leave() noexcept { unlink(); }

protected:
    bool waits() const noexcept { return linked(); }

    wait_node() noexcept = default;
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    wait_node([[maybe_unused]] wait_node&& other) noexcept : wait_links() {
        assert(!other.linked() && "kaio: something that waits was moved");
    }
    ~wait_node() { unlink(); }

private:
    friend class wait_queue;

    suspended waiting_{}; // once it waits
};

class wait_queue : private wait_links {
public:
    wait_queue() noexcept = default;
    ~wait_queue() { assert(empty() && "kaio: a queue was destroyed while coroutines wait in it"); }

    bool empty() const noexcept { return !linked(); }

    // REQUIRES: !empty()
    wait_node& front() const noexcept { return static_cast<wait_node&>(next()); }

    // `coroutine` is a std::coroutine_handle, or as detail/suspended.hpp says. REQUIRES: the node is in no queue
    template <class Coroutine> void push(wait_node& node, Coroutine coroutine) noexcept {
        assert(!node.linked() && "kaio: something was awaited twice");
        node.waiting_ = suspended(coroutine);
        node.link_before(*this);
    }

    // Removes the first node and returns it, or null.
    wait_node* pop() noexcept {
        if (empty()) return nullptr;
        wait_node& node = front();
        node.unlink();
        return &node;
    }

    // Moves all nodes of `other` to the end.
    void append(wait_queue& other) noexcept {
        while (wait_node* const node = other.pop()) node->link_before(*this);
    }
};

// Ends the program in every build: going on would let coroutines wait forever, or use memory that is gone.
[[noreturn, gnu::__cold__, gnu::__noinline__]] inline void end_program(const char* why) noexcept {
    std::fputs(why, stderr);
    std::abort();
}

} // namespace kaio::detail
