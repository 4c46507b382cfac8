// operation_slab: the loop's own operations, each with room for a handler of 48 bytes. That makes 128 bytes, or two
// cache lines. Acquiring and releasing one takes a few instructions. The slab grows by allocating and never shrinks. It
// belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class operation_slab {
public:
    // Bytes. A handler that fits, needs no more than a pointer's alignment and moves without throwing lives in the slab
    // itself. Any other costs an allocation for each submission.
    static constexpr std::size_t handler_room = 48;

    operation_slab() noexcept = default;
    operation_slab(operation_slab&&) noexcept = default;
    operation_slab& operator=(operation_slab&&) = delete;
    operation_slab(const operation_slab&) = delete;
    operation_slab& operator=(const operation_slab&) = delete;
    ~operation_slab() {
        while (chunks_) {
            chunk* const next = chunks_->next;
            ::operator delete(chunks_, std::align_val_t{alignof(slot)});
            chunks_ = next;
        }
    }

    // Makes `count` more operations at once. Returns false if there is no memory for them.
    [[gnu::__cold__, gnu::__noinline__]] bool grow(std::size_t count) noexcept {
        static_assert(sizeof(slot) >= sizeof(chunk));
        if (count > static_cast<std::size_t>(-1) / sizeof(slot) - 1) return false;
        void* memory = ::operator new((count + 1) * sizeof(slot), std::align_val_t{alignof(slot)}, std::nothrow);
        if (!memory) return false;
        auto* const first = static_cast<slot*>(memory) + 1; // the one before it holds the chunk's own link
        chunks_ = ::new (memory) chunk{chunks_};
        for (std::size_t i = count; i > 0; --i) release(*::new (first + i - 1) slot);
        size_ = size_ + count;
        return true;
    }

    // True if every operation is in use. The slab grows when its last one is acquired, so there was no memory then. It
    // helps to complete one.
    bool exhausted() const noexcept { return free_ == nullptr; }

    // What the next acquire returns, if it returns one.
    operation_core* first_free() const noexcept { return free_; }

    // Makes room for the next acquire. To be called after each.
    void grow_if_exhausted() noexcept {
        if (exhausted()) [[unlikely]]
            grow(size_);
    }

    template <class Handler> struct acquired {
        operation_core* operation;
        Handler* handler;
    };

    // Returns an operation that hands its result to a Handler, which is made of the arguments. Returns nulls if there is
    // no memory: all operations are in use, or the handler is too large for the slab. Then the arguments are untouched.
    template <class Handler, class... Arguments>
    [[gnu::__always_inline__]] acquired<Handler> acquire(Arguments&&... arguments) {
        if (exhausted()) [[unlikely]]
            return {};
        operation_core* const operation = free_;
        void* const place = static_cast<slot*>(operation)->handler;
        Handler* handler;
        if constexpr (fits<Handler>) {
            handler = ::new (place) Handler(std::forward<Arguments>(arguments)...);
            operation->complete = &complete<Handler>;
        } else {
            handler = new (std::nothrow) Handler(std::forward<Arguments>(arguments)...);
            if (!handler) return {};
            ::new (place) Handler*(handler);
            operation->complete = &complete_boxed<Handler>;
        }
        free_ = operation->next;
        return {operation, handler};
    }

private:
    struct slot : operation_core {
        slot() noexcept = default;
        alignas(void*) unsigned char handler[handler_room];
    };
    struct chunk {
        chunk* next;
    };

    template <class Handler> static Handler& handler_of(operation_core& operation) noexcept {
        void* const place = static_cast<slot&>(operation).handler;
        if constexpr (fits<Handler>)
            return *std::launder(static_cast<Handler*>(place));
        else
            return **std::launder(static_cast<Handler**>(place));
    }

    template <class Handler>
    static constexpr bool fits = sizeof(Handler) <= handler_room && alignof(Handler) <= alignof(void*) &&
                                 std::is_nothrow_move_constructible_v<Handler>;

    void release(operation_core& operation) noexcept {
        operation.next = free_;
        free_ = &operation;
    }

    // A handler with `continues` is asked first. True: it has submitted the operation again and keeps it.
    template <class Handler> static bool continues(Handler& handler, operation_core& self, io_result result) {
        if constexpr (requires { handler.continues(self, result); })
            return handler.continues(self, result);
        else
            return false;
    }

    // The operation is released before its handler runs. So a request that is submitted there finds it in the cache,
    // and nothing is left to do after the handler, whatever it throws.
    template <class Handler> static void complete(operation_core& self, operation_slab& slab, io_result result) {
        Handler& stored = handler_of<Handler>(self);
        if (continues(stored, self, result)) return;
        Handler handler(std::move(stored));
        stored.~Handler();
        slab.release(self);
        handler(result);
    }

    template <class Handler> struct deleter {
        Handler* handler;
        ~deleter() { delete handler; }
    };
    template <class Handler> static void complete_boxed(operation_core& self, operation_slab& slab, io_result result) {
        Handler* const boxed = &handler_of<Handler>(self);
        if (continues(*boxed, self, result)) return;
        deleter<Handler> const at_the_end{boxed};
        slab.release(self);
        (*boxed)(result);
    }

    reset_on_move<operation_core*> free_{}; // through operation_core::next, the one released last first
    reset_on_move<chunk*> chunks_{};
    reset_on_move<std::size_t> size_{}; // operations, free and in use
};

} // namespace kaio::detail
