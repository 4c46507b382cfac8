// buffer_pool: many equal buffers in one mapping, taken and returned in constant time without a system call.
//     kaio::buffer_pool pool(64, 65536, file.alignment().memory);
//     kaio::pooled_buffer buffer = pool.acquire();
//     if (buffer) loop.submit(kaio::read(file, buffer, 0), handler);
// The pool must outlive its handles, and a handle the requests that name it. The pool may be moved while handles are
// out. One thread at a time uses a pool and its handles. A forked child may destroy both. AddressSanitizer reports an
// access to a buffer that no handle has.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include <unistd.h>

#include <kaio/io/detail/error_words.hpp>
#include <kaio/io/detail/memory_limit.hpp>
#include <kaio/io/detail/pool_header.hpp>
#include <kaio/io/memory_error.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/process.hpp>
#include <kaio/sys/reset_on_move.hpp>
#include <kaio/sys/sanitizers.hpp>

namespace kaio::inline KAIO_BUILD {

// How a pool gets its memory.
struct buffer_pool_options {
    // Asks for huge pages of 2 MiB: those that are set aside (vm.nr_hugepages), else transparent ones. Where there are
    // none, or a cgroup grants none (hugetlb.2MB.max), ordinary pages serve, and buffer_pool::huge_pages() is false.
    //
    // Pages that are set aside are touched at once, on the memory node of the thread that makes the pool, because the
    // kernel kills (SIGBUS) a process that touches one it then refuses. A forked child must not write to such buffers:
    // it needs pages of its own, and there may be none.
    bool huge_pages = false;
};

// One buffer of a pool, or none. It can be moved, and returns its buffer when it is destroyed.
class pooled_buffer {
public:
    // No buffer: this is what an exhausted pool returns, and what a handle is that was moved from.
    pooled_buffer() noexcept = default;

    // False: there is no buffer.
    explicit operator bool() const noexcept { return bool(place_); }

    // Returns the buffer to its pool now. Its content is lost.
    void reset() noexcept { place_.reset(); }

    // The buffer's bytes: null and 0 for no buffer.
    std::byte* data() const noexcept { return pool() ? pool()->buffer(place_.get().index) : nullptr; }
    std::size_t size() const noexcept { return pool() ? pool()->size : 0; }
    std::byte* begin() const noexcept { return data(); }
    std::byte* end() const noexcept { return data() + size(); }

private:
    friend class buffer_pool;
    explicit pooled_buffer(detail::pool_place place) noexcept : place_(place) {}

    const detail::pool_header* pool() const noexcept { return place_.get().pool; }

    detail::owned<detail::pool_place, detail::pool_place{}, detail::return_to_pool> place_{};
};

// It can be moved, not copied.
class buffer_pool {
public:
    // `count` buffers (1 or more) of `size` bytes (1 or more), each at a multiple of `alignment` bytes, a power of two.
    // Their pages are zero, and come into being when they are first touched (but see buffer_pool_options::huge_pages).
    // Errors: throws std::system_error with EINVAL for arguments out of range, or ENOMEM. The text names the
    // precondition or the limit. Allocates: 4 bytes for each buffer. System calls: mmap; with huge pages madvise, or
    // one more for each page that is set aside.
    buffer_pool(std::uint32_t count, std::size_t size, std::size_t alignment = 4096, buffer_pool_options options = {})
        : buffer_pool(unwrap(try_make(count, size, alignment, options), count, size, alignment)) {}

    // The same without exceptions. The message() of error() names the cause, and pool_error_text(errno, count, size,
    // alignment) is the text that the constructor throws, with the figures.
    static result<buffer_pool> try_make(std::uint32_t count, std::size_t size, std::size_t alignment = 4096,
                                        buffer_pool_options options = {}) noexcept {
        constexpr std::size_t limit = static_cast<std::size_t>(-1) / 4;
        if (count == 0 || size == 0 || !detail::power_of_two(alignment)) return failure(EINVAL);
        if (size > limit || alignment > limit) return failure(ENOMEM);

        std::size_t const stride = detail::round_up(size, alignment);
        if (stride + sizeof(std::uint32_t) >= limit / count) return failure(ENOMEM);

        void* const memory = std::malloc(sizeof(detail::pool_header) + count * sizeof(std::uint32_t));
        if (!memory) return failure(ENOMEM);
        auto* const header = ::new (memory) detail::pool_header{size, stride, count, count, make_process_mark()};
        for (std::uint32_t i = 0; i < count; ++i) header->free_stack()[i] = count - 1 - i;
        buffer_pool pool(header);

        // A mapping starts at a page. For a greater alignment it is made longer, and the buffers begin later.
        auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        if (!header->map(stride * count + (alignment > page ? alignment : 0), options.huge_pages))
            return failure(ENOMEM);
        auto const base = reinterpret_cast<std::uintptr_t>(header->mapping);
        header->buffers = static_cast<std::byte*>(header->mapping) + (detail::round_up(base, alignment) - base);
        sanitizers::forbid_access(header->mapping, header->mapped); // until a buffer is acquired
        return pool;
    }

    // A free buffer, or a handle without one (false) if all are out. A pool that was moved from has none. The content
    // is what the last user left.
    [[nodiscard]] pooled_buffer acquire() noexcept {
        if (available() == 0) return {};
        detail::pool_header* const header = header_.get();
        std::uint32_t const index = header->free_stack()[--header->free_count];
        sanitizers::allow_access(header->buffer(index), header->size);
        return pooled_buffer({header, index});
    }

    // How many buffers it has, and how many of them are free. A pool that was moved from has none.
    std::uint32_t count() const noexcept { return header_ ? header_.get()->count : 0; }
    std::uint32_t available() const noexcept { return header_ ? header_.get()->free_count : 0; }

    // The size of each buffer in bytes, as asked for.
    std::size_t buffer_size() const noexcept { return header_ ? header_.get()->size : 0; }

    // True if the mapping has huge pages, or may get transparent ones.
    bool huge_pages() const noexcept { return header_ && header_.get()->huge_pages; }

    // The category of try_make's errors.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::pool_words>(); }

private:
    explicit buffer_pool(detail::pool_header* header) noexcept : header_(header) {}

    static buffer_pool unwrap(result<buffer_pool> made, std::uint32_t count, std::size_t size, std::size_t alignment) {
        if (!made) {
            int const error = made.error().value();
            detail::throw_error(error, pool_error_text(error, count, size, alignment));
        }
        return std::move(*made);
    }

    detail::owned<detail::pool_header*, nullptr, detail::free_pool> header_; // null: moved from
};

} // namespace kaio
