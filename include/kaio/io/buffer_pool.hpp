// buffer_pool: many equal buffers from one mapping, taken and returned in constant time without a system call.
// One thread at a time, handles included. The pool must outlive its handles, a handle the requests that name it;
// the pool itself may be moved while handles are out.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

#include <sys/mman.h>
#include <unistd.h>

#include <kaio/io/result.hpp>
#include <kaio/sys/exchange.hpp>

namespace kaio {

struct buffer_pool_options {
    // Ask for huge pages (MAP_HUGETLB, else transparent ones). Where there are none, ordinary pages serve, quietly:
    // buffer_pool::huge_pages() says what it got.
    bool huge_pages = false;
};

namespace detail {
// Lies in the pool's mapping, in front of the buffers, so that moving the pool leaves it where its handles look.
struct pool_header {
    std::byte* buffers;
    std::size_t size;   // bytes, as asked for
    std::size_t stride; // bytes from one buffer to the next
    std::uint32_t count;
    std::uint32_t free_count;

    // The buffers that are free, as a stack: the one returned last is the warmest. `count` entries follow the header.
    std::uint32_t* free_stack() noexcept { return reinterpret_cast<std::uint32_t*>(this + 1); }
};
} // namespace detail

// One buffer of a pool, or none. Movable; returns its buffer when it is destroyed.
class pooled_buffer {
public:
    // No buffer: what an exhausted pool gives, and what a moved-from handle is.
    pooled_buffer() noexcept = default;
    pooled_buffer(const pooled_buffer&) = delete;
    pooled_buffer& operator=(const pooled_buffer&) = delete;
    pooled_buffer(pooled_buffer&& other) noexcept : pool_(other.pool_), index_(other.index_) { other.pool_ = nullptr; }
    pooled_buffer& operator=(pooled_buffer&& other) noexcept {
        if (this != &other) {
            reset();
            pool_ = other.pool_;
            index_ = other.index_;
            other.pool_ = nullptr;
        }
        return *this;
    }
    ~pooled_buffer() { reset(); }

    // False: there is no buffer.
    explicit operator bool() const noexcept { return pool_ != nullptr; }

    // Returns the buffer to its pool now. Its content is lost.
    void reset() noexcept {
        if (pool_) pool_->free_stack()[pool_->free_count++] = index_;
        pool_ = nullptr;
    }

    // The buffer's bytes; of no buffer: null and 0.
    std::byte* data() const noexcept { return pool_ ? pool_->buffers + pool_->stride * index_ : nullptr; }
    std::size_t size() const noexcept { return pool_ ? pool_->size : 0; }
    std::byte* begin() const noexcept { return data(); }
    std::byte* end() const noexcept { return data() + size(); }

private:
    friend class buffer_pool;
    pooled_buffer(detail::pool_header* pool, std::uint32_t index) noexcept : pool_(pool), index_(index) {}

    detail::pool_header* pool_ = nullptr; // null: no buffer
    std::uint32_t index_ = 0;
};

class buffer_pool {
public:
    // `count` buffers (1 or more) of `size` bytes (1 or more), each at a multiple of `alignment` bytes (a power of
    // two). One mapping; the pages are zero and come into being when they are first touched.
    // Throws std::system_error: EINVAL for arguments out of range, ENOMEM.
    buffer_pool(std::uint32_t count, std::size_t size, std::size_t alignment = 4096, buffer_pool_options options = {})
        : buffer_pool(try_make(count, size, alignment, options)
                          .value("kaio: buffer_pool: count and size must be 1 or more, the alignment a power of two, "
                                 "and the machine must have the memory")) {}

    // The same without exceptions: EINVAL or ENOMEM.
    static result<buffer_pool> try_make(std::uint32_t count, std::size_t size, std::size_t alignment = 4096,
                                        buffer_pool_options options = {}) noexcept {
        using failure = result<buffer_pool>;
        constexpr std::size_t limit = static_cast<std::size_t>(-1) / 4;
        if (count == 0 || size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
            return failure::failure(EINVAL);
        if (size > limit || alignment > limit) return failure::failure(ENOMEM);

        auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        std::size_t const stride = round_up(size, alignment);
        std::size_t const front =
            round_up(sizeof(detail::pool_header) + count * sizeof(std::uint32_t), alignment > page ? alignment : page);
        if (stride > (limit - front) / count) return failure::failure(ENOMEM);

        buffer_pool pool;
        // A mapping starts at a page; for a greater alignment it is made longer and the header moved up.
        std::size_t const wanted = front + stride * count + (alignment > page ? alignment : 0);
        if (!pool.map(wanted, options.huge_pages)) return failure::failure(ENOMEM);
        auto const base = reinterpret_cast<std::uintptr_t>(pool.mapping_);
        std::size_t const skip = alignment > page ? round_up(base, alignment) - base : 0;
        pool.header_ = ::new (static_cast<std::byte*>(pool.mapping_) + skip)
            detail::pool_header{static_cast<std::byte*>(pool.mapping_) + skip + front, size, stride, count, count};
        for (std::uint32_t i = 0; i < count; ++i) pool.header_->free_stack()[i] = count - 1 - i;
        return pool;
    }

    buffer_pool(const buffer_pool&) = delete;
    buffer_pool& operator=(const buffer_pool&) = delete;
    buffer_pool(buffer_pool&& other) noexcept
        : mapping_(other.mapping_), mapped_(other.mapped_), huge_(other.huge_), header_(other.header_) {
        other.mapping_ = nullptr;
        other.header_ = nullptr;
    }
    buffer_pool& operator=(buffer_pool&& other) noexcept {
        buffer_pool taken(std::move(other));
        mapping_ = detail::exchange(taken.mapping_, mapping_);
        mapped_ = detail::exchange(taken.mapped_, mapped_);
        huge_ = detail::exchange(taken.huge_, huge_);
        header_ = detail::exchange(taken.header_, header_);
        return *this;
    }
    ~buffer_pool() {
        assert(available() == count() && "kaio: a buffer_pool was destroyed while buffers of it were out");
        if (mapping_) ::munmap(mapping_, mapped_);
    }

    // A free buffer, or a handle of none (false) if all are out; a moved-from pool has none. The content is what the
    // last user left. No system call, no allocation.
    [[nodiscard]] pooled_buffer take() noexcept {
        if (available() == 0) return {};
        return {header_, header_->free_stack()[--header_->free_count]};
    }

    std::uint32_t count() const noexcept { return header_ ? header_->count : 0; }
    std::uint32_t available() const noexcept { return header_ ? header_->free_count : 0; }
    std::size_t buffer_size() const noexcept { return header_ ? header_->size : 0; }

    // True if the mapping has huge pages or was accepted for transparent ones.
    bool huge_pages() const noexcept { return huge_; }

private:
    buffer_pool() noexcept = default;

    static constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept { return (n + to - 1) & ~(to - 1); }

    bool map(std::size_t bytes, bool huge) noexcept {
        constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        constexpr std::size_t huge_page = std::size_t{2} << 20; // what MAP_HUGETLB gives by default on most machines
        if (huge) {
            mapped_ = round_up(bytes, huge_page);
            mapping_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
            huge_ = mapping_ != MAP_FAILED;
        }
        if (!huge_) {
            mapped_ = bytes;
            mapping_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, flags, -1, 0);
            if (mapping_ == MAP_FAILED) mapping_ = nullptr;
            if (mapping_ && huge) huge_ = ::madvise(mapping_, mapped_, MADV_HUGEPAGE) == 0;
        }
        return mapping_ != nullptr;
    }

    void* mapping_ = nullptr;
    std::size_t mapped_ = 0; // bytes
    bool huge_ = false;
    detail::pool_header* header_ = nullptr;
};

} // namespace kaio
