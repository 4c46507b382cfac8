// arrivals: the events that a loop has taken out of the kernel and whose handlers it has not called yet. It lies on the
// heap, apart from the loop: whoever dispatches can still see here that a handler has destroyed the loop.
// It belongs to its loop's thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD {

class alignas(io_event) arrivals {
public:
    arrivals(const arrivals&) = delete;
    arrivals& operator=(const arrivals&) = delete;

    // For at most `capacity` events. Null: no memory.
    static arrivals* make(std::size_t capacity) noexcept {
        if (capacity > (static_cast<std::size_t>(-1) - sizeof(arrivals)) / sizeof(io_event)) return nullptr;
        void* const memory = ::operator new(sizeof(arrivals) + capacity * sizeof(io_event), std::nothrow);
        return memory ? ::new (memory) arrivals(capacity) : nullptr;
    }

    // What the loop's destructor calls. While handlers are being called the memory stays: the program is about to end,
    // by exit or with the message of `dispatching`.
    static void dispose(arrivals* of) noexcept {
        if (of && of->depth_ != 0) {
            of->loop_is_gone_ = true;
            of->next_ = of->end_;
        } else {
            ::operator delete(of);
        }
    }

    // Where events are to be put, the first of them first, before fill says which came. REQUIRES: empty()
    view<io_event> room() noexcept { return {events(), capacity_}; }
    void fill(view<io_event> came) noexcept {
        next_ = came.begin();
        end_ = came.end();
    }

    bool empty() const noexcept { return next_ == end_; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - next_); }
    const io_event& pop() noexcept { return *next_++; } // REQUIRES: !empty()

    // True while handlers are being called, in how many calls of poll and run whatsoever.
    bool in_handler() const noexcept { return depth_ != 0; }

    // Stands on the stack of whoever calls handlers.
    class dispatching {
    public:
        explicit dispatching(arrivals* of) noexcept : of_(of) { ++of_->depth_; }
        dispatching(const dispatching&) = delete;
        dispatching& operator=(const dispatching&) = delete;
        ~dispatching() {
            loop_stays();
            --of_->depth_;
        }

        arrivals& of() const noexcept { return *of_; }

        // After each handler but those of events, where empty() becomes true, and before the loop is touched again.
        // In every build: going on would use freed memory.
        void loop_stays() const noexcept {
            if (of_->loop_is_gone_) [[unlikely]]
                loop_is_gone();
        }

    private:
        [[noreturn, gnu::__cold__, gnu::__noinline__]] static void loop_is_gone() noexcept {
            std::fputs("kaio: a loop was destroyed inside one of its own handlers, posted functions or coroutines, which "
                       "would return into freed memory; call stop() there, and destroy the loop when run has returned\n",
                       stderr);
            std::abort();
        }

        arrivals* of_;
    };

private:
    explicit arrivals(std::size_t capacity) noexcept : next_(events()), end_(next_), capacity_(capacity) {}

    io_event* events() noexcept { return reinterpret_cast<io_event*>(this + 1); }

    io_event* next_; // the events from here on are taken and not handled
    io_event* end_;  // up to here
    std::size_t capacity_;
    unsigned depth_ = 0;
    bool loop_is_gone_ = false;
};

} // namespace kaio
