// Why there was no memory for a buffer or a pool, in words: the limit that was met, its figures and the remedy.
//     auto buffer = kaio::aligned_buffer::try_make(size, 4096);
//     if (!buffer) log(kaio::buffer_error_text(buffer.error().value(), size, 4096));
// The limits are looked up in /proc when a text is made, so ask soon after the failure. Any thread. Allocates: the
// text.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include <kaio/io/detail/memory_limit.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// Why aligned_buffer(size, alignment) failed with `error`, which is EINVAL or ENOMEM.
inline std::string buffer_error_text(int error, std::size_t size, std::size_t alignment) {
    char text[256];
    if (error == EINVAL || !detail::power_of_two(alignment)) {
        std::snprintf(text, sizeof text, "kaio: aligned_buffer: the alignment must be a power of two, and %zu is none",
                      alignment);
        return text;
    }
    std::size_t const most = static_cast<std::size_t>(-1) / 2;
    if (size > most || alignment > most) {
        std::snprintf(text, sizeof text,
                      "kaio: aligned_buffer: %zu bytes at a multiple of %zu are more than an address space holds", size,
                      alignment);
        return text;
    }
    return detail::no_memory_text("aligned_buffer", ((size + alignment - 1) & ~(alignment - 1)) + alignment);
}

// Why buffer_pool(count, size, alignment) failed with `error`, which is EINVAL or ENOMEM.
inline std::string pool_error_text(int error, std::uint32_t count, std::size_t size, std::size_t alignment) {
    char text[256];
    const char* const zero = count == 0 ? "count" : size == 0 ? "size" : nullptr;
    if (zero) {
        std::snprintf(text, sizeof text, "kaio: buffer_pool: the %s is 0; ask for 1 or more", zero);
        return text;
    }
    if (error == EINVAL || !detail::power_of_two(alignment)) {
        std::snprintf(text, sizeof text, "kaio: buffer_pool: the alignment must be a power of two, and %zu is none",
                      alignment);
        return text;
    }
    std::size_t const most = static_cast<std::size_t>(-1) / 4;
    std::size_t const stride = size > most || alignment > most ? most : (size + alignment - 1) & ~(alignment - 1);
    if (stride + sizeof(std::uint32_t) >= most / count) {
        std::snprintf(text, sizeof text,
                      "kaio: buffer_pool: %u buffers of %zu bytes at multiples of %zu are more than an address space "
                      "holds",
                      count, size, alignment);
        return text;
    }
    return detail::no_memory_text("buffer_pool", stride * count + alignment);
}

} // namespace KAIO_BUILD
} // namespace kaio
