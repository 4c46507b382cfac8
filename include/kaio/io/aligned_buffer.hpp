// aligned_buffer: bytes on the heap that direct I/O accepts. Owning and movable; distinct objects may be used by
// distinct threads. It must outlive every request that names it.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include <kaio/io/memory_error.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>

namespace kaio::inline KAIO_BUILD {

class aligned_buffer {
public:
    // No bytes; also what a moved-from buffer is.
    aligned_buffer() noexcept = default;

    // `size` bytes at a multiple of `alignment` bytes (a power of two). One allocation of capacity() bytes, whose
    // content is indeterminate: nothing writes zeros. A size of 0 is a buffer of no bytes.
    // Throws std::system_error: EINVAL for a bad alignment, ENOMEM; its text names the precondition or the limit.
    explicit aligned_buffer(std::size_t size, std::size_t alignment = 4096)
        : aligned_buffer(unwrap(try_make(size, alignment), size, alignment)) {}

    // The same without exceptions: EINVAL or ENOMEM. The message() of error() names the cause;
    // buffer_error_text(errno, size, alignment) is the throwing form's text, with the figures.
    static result<aligned_buffer> try_make(std::size_t size, std::size_t alignment = 4096) noexcept {
        if (alignment == 0 || (alignment & (alignment - 1)) != 0) return failure(EINVAL);
        if (alignment < sizeof(void*)) alignment = sizeof(void*); // posix_memalign asks for that
        if (size > static_cast<std::size_t>(-1) / 2 || alignment > static_cast<std::size_t>(-1) / 2)
            return failure(ENOMEM);
        aligned_buffer buffer;
        buffer.size_ = size;
        buffer.capacity_ = (size + alignment - 1) & ~(alignment - 1);
        void* memory = nullptr;
        if (size != 0 && ::posix_memalign(&memory, alignment, buffer.capacity_) != 0)
            return failure(ENOMEM);
        buffer.data_ = static_cast<std::byte*>(memory);
        return buffer;
    }

    aligned_buffer(const aligned_buffer&) = delete;
    aligned_buffer& operator=(const aligned_buffer&) = delete;
    aligned_buffer(aligned_buffer&& other) noexcept
        : data_(other.data_), size_(other.size_), capacity_(other.capacity_) {
        other.data_ = nullptr;
        other.size_ = other.capacity_ = 0;
    }
    aligned_buffer& operator=(aligned_buffer&& other) noexcept {
        aligned_buffer taken(std::move(other));
        data_ = std::exchange(taken.data_, data_);
        size_ = std::exchange(taken.size_, size_);
        capacity_ = std::exchange(taken.capacity_, capacity_);
        return *this;
    }
    ~aligned_buffer() { std::free(data_); }

    std::byte* data() noexcept { return data_; }
    const std::byte* data() const noexcept { return data_; }

    // Bytes, as asked for.
    std::size_t size() const noexcept { return size_; }

    // Bytes of the storage: size() rounded up to the alignment. All of them may be used: direct I/O needs whole
    // blocks, and storage() is a view of them.
    std::size_t capacity() const noexcept { return capacity_; }
    view<std::byte> storage() noexcept { return {data_, capacity_}; }

    std::byte* begin() noexcept { return data_; }
    std::byte* end() noexcept { return data_ + size_; }
    const std::byte* begin() const noexcept { return data_; }
    const std::byte* end() const noexcept { return data_ + size_; }

    // What puts the errors of try_make into words.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::buffer_words>(); }

private:
    static aligned_buffer unwrap(result<aligned_buffer> made, std::size_t size, std::size_t alignment) {
        if (!made) {
            int const error = made.error().value();
            detail::throw_error(error, buffer_error_text(error, size, alignment));
        }
        return std::move(*made);
    }

    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

} // namespace kaio
