// aligned_buffer: bytes on the heap that direct I/O accepts.
//     kaio::aligned_buffer buffer(4096, file.alignment().memory);
//     std::memcpy(buffer.data(), record, size);
//     loop.submit(kaio::write(file, buffer, 0), handler);
// It must outlive every request that names it. Distinct buffers may be used by distinct threads.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include <kaio/io/detail/error_words.hpp>
#include <kaio/io/detail/memory_limit.hpp>
#include <kaio/io/memory_error.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// It can be moved, not copied.
class aligned_buffer {
public:
    // No bytes, as in a buffer that was moved from.
    aligned_buffer() noexcept = default;

    // `size` bytes at a multiple of `alignment` bytes, a power of two. Their content is indeterminate: nothing writes
    // zeros. A size of 0 makes a buffer without bytes.
    // Errors: throws std::system_error with EINVAL for a bad alignment, or ENOMEM. The text names the precondition or
    // the limit. Allocates: capacity() bytes.
    explicit aligned_buffer(std::size_t size, std::size_t alignment = 4096)
        : aligned_buffer(unwrap(try_make(size, alignment), size, alignment)) {}

    // The same without exceptions. The message() of error() names the cause, and buffer_error_text(errno, size,
    // alignment) is the text that the constructor throws, with the figures.
    static result<aligned_buffer> try_make(std::size_t size, std::size_t alignment = 4096) noexcept {
        if (!detail::power_of_two(alignment)) return failure(EINVAL);
        if (alignment < sizeof(void*)) alignment = sizeof(void*); // posix_memalign demands that
        if (size > static_cast<std::size_t>(-1) / 2 || alignment > static_cast<std::size_t>(-1) / 2)
            return failure(ENOMEM);
        aligned_buffer buffer;
        buffer.size_ = size;
        buffer.capacity_ = (size + alignment - 1) & ~(alignment - 1);
        void* memory = nullptr;
        if (size != 0 && ::posix_memalign(&memory, alignment, buffer.capacity_) != 0) return failure(ENOMEM);
        buffer.data_.reset(static_cast<std::byte*>(memory));
        return buffer;
    }

    // The first of size() bytes, at an address of the alignment; null if it was moved from.
    std::byte* data() noexcept { return data_.get(); }
    const std::byte* data() const noexcept { return data_.get(); }

    // The number of bytes that were asked for.
    std::size_t size() const noexcept { return size_; }

    // The number of bytes in the storage: size() rounded up to the alignment. All of them may be used. Direct I/O needs
    // whole blocks, and storage() shows them.
    std::size_t capacity() const noexcept { return capacity_; }
    view<std::byte> storage() noexcept { return {data(), capacity_}; }

    // The size() bytes as a range.
    std::byte* begin() noexcept { return data(); }
    std::byte* end() noexcept { return data() + size_; }
    const std::byte* begin() const noexcept { return data(); }
    const std::byte* end() const noexcept { return data() + size_; }

    // The category of try_make's errors.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::buffer_words>(); }

private:
    struct free_memory {
        void operator()(std::byte* memory) const noexcept { std::free(memory); }
    };

    static aligned_buffer unwrap(result<aligned_buffer> made, std::size_t size, std::size_t alignment) {
        if (!made) {
            int const error = made.error().value();
            detail::throw_error(error, buffer_error_text(error, size, alignment));
        }
        return std::move(*made);
    }

    detail::owned<std::byte*, nullptr, free_memory> data_{};
    detail::reset_on_move<std::size_t> size_{};     // bytes
    detail::reset_on_move<std::size_t> capacity_{}; // bytes
};

} // namespace KAIO_BUILD
} // namespace kaio
