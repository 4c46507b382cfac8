// operation_slab: the loop's own operations, with room for a handler of 48 bytes in each; 128 bytes in all, which is
// two cache lines. Taking and giving back are a few instructions; it grows by allocating and never shrinks.
// It belongs to its loop's thread.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/loop/operation.hpp>

namespace kaio::inline KAIO_BUILD {

class operation_slab {
public:
    // Handlers up to this size (bytes), with no more than a pointer's alignment and a move that can't throw, live in
    // the slab itself; for others each submission allocates.
    static constexpr std::size_t handler_room = 48;

    operation_slab() noexcept = default;
    operation_slab(const operation_slab&) = delete;
    operation_slab& operator=(const operation_slab&) = delete;
    operation_slab(operation_slab&& other) noexcept
        : free_(std::exchange(other.free_, nullptr)), chunks_(std::exchange(other.chunks_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    ~operation_slab() {
        while (chunks_) {
            chunk* const next = chunks_->next;
            ::operator delete(chunks_, std::align_val_t{alignof(slot)});
            chunks_ = next;
        }
    }

    // Room for `count` more operations at once. False: no memory.
    [[gnu::__cold__, gnu::__noinline__]] bool grow(std::size_t count) noexcept {
        static_assert(sizeof(slot) >= sizeof(chunk));
        if (count > static_cast<std::size_t>(-1) / sizeof(slot) - 1) return false;
        void* memory = ::operator new((count + 1) * sizeof(slot), std::align_val_t{alignof(slot)}, std::nothrow);
        if (!memory) return false;
        auto* const first = static_cast<slot*>(memory) + 1; // the first one holds the chunk's own link
        chunks_ = ::new (memory) chunk{chunks_};
        for (std::size_t i = count; i > 0; --i) give(*::new (first + i - 1) slot);
        size_ += count;
        return true;
    }

    // True if no operation is left. The slab grows when its last one is taken, so this means that there was no memory
    // for more then; a completed operation helps.
    bool full() const noexcept { return free_ == nullptr; }

    // To be called after each take, so that there is room for the next.
    void grow_if_full() noexcept {
        if (full()) [[unlikely]]
            grow(size_);
    }

    // An operation that hands its result to `handler`, which is moved or copied in; null if there is no memory for a
    // handler that is too large for the slab, and then the handler is untouched. REQUIRES: !full()
    template <class H> operation* take(H&& handler) {
        using Handler = std::decay_t<H>;
        if constexpr (fits<Handler>) {
            ::new (static_cast<slot*>(free_)->handler) Handler(std::forward<H>(handler));
            free_->complete_ = &complete<Handler>;
        } else {
            auto* const boxed = new (std::nothrow) Handler(std::forward<H>(handler));
            if (!boxed) return nullptr;
            ::new (static_cast<slot*>(free_)->handler) Handler*(boxed);
            free_->complete_ = &complete_boxed<Handler>;
        }
        operation* const op = free_;
        free_ = op->next_;
        return op;
    }

private:
    struct slot : operation {
        slot() noexcept = default;
        alignas(void*) unsigned char handler[handler_room];
    };
    struct chunk {
        chunk* next;
    };

    template <class Handler>
    static constexpr bool fits = sizeof(Handler) <= handler_room && alignof(Handler) <= alignof(void*) &&
                                 std::is_nothrow_move_constructible_v<Handler>;

    void give(operation& op) noexcept {
        op.next_ = free_;
        free_ = &op;
    }

    // A handler with goes_on() is asked first: true keeps the operation, which it has submitted again.
    template <class Handler> static bool goes_on(Handler& handler, operation& self, io_result result) {
        if constexpr (requires { handler.goes_on(self, result); })
            return handler.goes_on(self, result);
        else
            return false;
    }

    // The operation is given back before its handler runs, so that a request submitted there finds it still warm, and
    // so that nothing is left to do after the handler, whatever it throws.
    template <class Handler> static void complete(operation& self, operation_slab& slab, io_result result) {
        auto& stored = *std::launder(static_cast<Handler*>(static_cast<void*>(static_cast<slot&>(self).handler)));
        if (goes_on(stored, self, result)) return;
        Handler handler(std::move(stored));
        stored.~Handler();
        slab.give(self);
        handler(result);
    }

    template <class Handler> struct deleter {
        Handler* handler;
        ~deleter() { delete handler; }
    };
    template <class Handler> static void complete_boxed(operation& self, operation_slab& slab, io_result result) {
        void* const place = static_cast<slot&>(self).handler;
        Handler* const boxed = *std::launder(static_cast<Handler**>(place));
        if (goes_on(*boxed, self, result)) return;
        deleter<Handler> const after{boxed};
        slab.give(self);
        (*boxed)(result);
    }

    operation* free_ = nullptr; // the one given back last is the warmest
    chunk* chunks_ = nullptr;
    std::size_t size_ = 0; // operations, free and taken
};

} // namespace kaio
