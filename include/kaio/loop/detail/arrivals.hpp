// arrivals: the events that a loop has taken out of the ring and whose handlers it has not called yet. They lie on the
// heap, apart from the loop, because a handler may destroy the loop: its caller can still see that here. They belong to
// their loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class alignas(io_event) arrivals {
public:
    arrivals(const arrivals&) = delete;
    arrivals& operator=(const arrivals&) = delete;

    // With room for `capacity` events. Returns null if there is no memory.
    static arrivals* make(std::size_t capacity) noexcept {
        if (capacity > (static_cast<std::size_t>(-1) - sizeof(arrivals)) / sizeof(io_event)) return nullptr;
        void* const memory = ::operator new(sizeof(arrivals) + capacity * sizeof(io_event), std::nothrow);
        return memory ? ::new (memory) arrivals(capacity) : nullptr;
    }

    // Called when the loop is destroyed. While handlers are being called the memory stays: the program is about to end,
    // by exit or with the message of `dispatching`.
    struct dispose {
        void operator()(arrivals* disposed) const noexcept {
            if (disposed->depth_ != 0) {
                disposed->loop_is_gone_ = true;
                disposed->next_ = disposed->end_;
            } else {
                ::operator delete(disposed);
            }
        }
    };

    // Where events are to be put, the first of them first, before `add`.
    view<io_event> room() noexcept {
        assert(empty() && "kaio: events are taken before those that came first are handled");
        return {events(), capacity_};
    }
    // The events that have come. They lie in room().
    void add(view<io_event> taken) noexcept {
        next_ = taken.begin();
        end_ = taken.end();
    }

    bool empty() const noexcept { return next_ == end_; }
    std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - next_); }
    const io_event& pop() noexcept { return *next_++; } // REQUIRES: !empty()

    // True if the request's event is among them. It looks at each in turn.
    bool has_event_of(const iocb& request) const noexcept {
        const io_event* each = next_;
        while (each != end_ && each->request() != &request) ++each;
        return each != end_;
    }

    // True while handlers are being called, by whatever call of poll or run.
    bool in_handler() const noexcept { return depth_ != 0; }

    // On the stack of a function that calls handlers, for as long as it does.
    class dispatching {
    public:
        explicit dispatching(arrivals* events) noexcept : events_(events) { ++events_->depth_; }
        dispatching(const dispatching&) = delete;
        dispatching& operator=(const dispatching&) = delete;
        ~dispatching() {
            loop_stays();
            --events_->depth_;
        }

        arrivals& events() const noexcept { return *events_; }

        // To be called after a handler, before the loop is touched again. Not needed between two events, because
        // empty() becomes true. In every build: going on would use freed memory.
        void loop_stays() const noexcept {
            if (events_->loop_is_gone_) [[unlikely]]
                loop_is_gone();
        }

    private:
        [[noreturn, gnu::__cold__, gnu::__noinline__]] static void loop_is_gone() noexcept {
            std::fputs(
                "kaio: a loop was destroyed inside one of its own handlers, posted functions or coroutines, which "
                "would return into freed memory; call stop() there, and destroy the loop when run has returned\n",
                stderr);
            std::abort();
        }

        arrivals* events_;
    };

private:
    explicit arrivals(std::size_t capacity) noexcept : next_(events()), end_(next_), capacity_(capacity) {}

    io_event* events() noexcept { return reinterpret_cast<io_event*>(this + 1); }

    io_event* next_; // the events from here on have no handler called yet
    io_event* end_;  // up to here
    std::size_t capacity_;
    unsigned depth_ = 0; // calls of poll and run that are calling handlers
    bool loop_is_gone_ = false;
};

} // namespace kaio::detail
