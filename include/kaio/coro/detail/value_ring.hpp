// value_ring<T>: a queue of at most so many values, in memory that is allocated once. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <cstddef>
#include <new>
#include <utility>

namespace kaio::inline KAIO_BUILD::detail {

template <class T> class value_ring {
public:
    // Errors: throws std::bad_alloc. REQUIRES: capacity != 0
    explicit value_ring(std::size_t capacity) : values_(allocate(capacity)), capacity_(capacity) {}
    value_ring(const value_ring&) = delete;
    value_ring& operator=(const value_ring&) = delete;
    ~value_ring() {
        while (size_ != 0) drop_first();
        ::operator delete(static_cast<void*>(values_), std::align_val_t(alignof(T)));
    }

    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t size() const noexcept { return size_; }

    // REQUIRES: size() < capacity()
    void push(T&& value) noexcept {
        assert(size_ < capacity_ && "kaio: a ring was full");
        std::size_t const to_end = capacity_ - first_;
        ::new (static_cast<void*>(values_ + (size_ < to_end ? first_ + size_ : size_ - to_end))) T(std::move(value));
        ++size_;
    }

    // Removes the oldest value and returns it. REQUIRES: size() != 0
    T pop() noexcept {
        assert(size_ != 0 && "kaio: a ring was empty");
        struct remover {
            value_ring& ring;
            ~remover() { ring.drop_first(); }
        } const afterwards{*this};
        return std::move(values_[first_]);
    }

private:
    static T* allocate(std::size_t capacity) {
        std::size_t const most = static_cast<std::size_t>(-1) / sizeof(T);
        std::size_t const bytes = capacity <= most ? capacity * sizeof(T) : static_cast<std::size_t>(-1);
        return static_cast<T*>(::operator new(bytes, std::align_val_t(alignof(T))));
    }
    void drop_first() noexcept {
        values_[first_].~T();
        if (++first_ == capacity_) first_ = 0;
        --size_;
    }

    T* values_; // memory for capacity_
    std::size_t capacity_;
    std::size_t first_ = 0; // where the oldest value is
    std::size_t size_ = 0;
};

} // namespace kaio::detail
