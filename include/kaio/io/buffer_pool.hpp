// buffer_pool: many equal buffers from one mapping, taken and returned in constant time without a system call.
// One thread at a time, handles included. The pool must outlive its handles, a handle the requests that name it;
// the pool itself may be moved while handles are out. A forked child may destroy pool and handles.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/io/memory_error.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/process.hpp>

namespace kaio::inline KAIO_BUILD {

struct buffer_pool_options {
    // Ask for huge pages of 2 MiB: those that are set aside (vm.nr_hugepages), else transparent ones. Where there are
    // none, or a cgroup grants none of them (hugetlb.2MB.max), ordinary pages serve, quietly: buffer_pool::huge_pages()
    // says what it got. Pages that are set aside come into being at once, on the memory node of the thread that makes
    // the pool, for the kernel kills (SIGBUS) who touches one that it then refuses. A forked child must not write to
    // such buffers: it needs pages of its own, of which there may be none.
    bool huge_pages = false;
};

namespace detail {
// Lies on the heap, so that moving the pool leaves it where its handles look, and not with the buffers: a forked child
// that destroys a handle writes here, and might get no huge page of its own for that.
struct pool_header {
    std::byte* buffers;
    std::size_t size;   // bytes, as asked for
    std::size_t stride; // bytes from one buffer to the next
    std::uint32_t count;
    std::uint32_t free_count;
    const unsigned* process; // see sys/process.hpp; null: there was no memory for a mark

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
    // two). One mapping, and one allocation of 4 bytes for each buffer; the pages are zero and come into being when
    // they are first touched (but see buffer_pool_options::huge_pages). System calls: mmap, with huge pages madvise, and
    // one more for each of those that are set aside.
    // Throws std::system_error: EINVAL for arguments out of range, ENOMEM; its text names the precondition or the limit.
    buffer_pool(std::uint32_t count, std::size_t size, std::size_t alignment = 4096, buffer_pool_options options = {})
        : buffer_pool(unwrap(try_make(count, size, alignment, options), count, size, alignment)) {}

    // The same without exceptions: EINVAL or ENOMEM. The message() of error() names the cause;
    // pool_error_text(errno, count, size, alignment) is the throwing form's text, with the figures.
    static result<buffer_pool> try_make(std::uint32_t count, std::size_t size, std::size_t alignment = 4096,
                                        buffer_pool_options options = {}) noexcept {
        constexpr std::size_t limit = static_cast<std::size_t>(-1) / 4;
        if (count == 0 || size == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
            return failure(EINVAL);
        if (size > limit || alignment > limit) return failure(ENOMEM);

        auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        std::size_t const stride = round_up(size, alignment);
        if (stride + sizeof(std::uint32_t) >= limit / count) return failure(ENOMEM);

        buffer_pool pool;
        void* const header = std::malloc(sizeof(detail::pool_header) + count * sizeof(std::uint32_t));
        if (!header) return failure(ENOMEM);
        pool.header_ = ::new (header) detail::pool_header{nullptr, size, stride, count, count, make_process_mark()};
        for (std::uint32_t i = 0; i < count; ++i) pool.header_->free_stack()[i] = count - 1 - i;

        // A mapping starts at a page; for a greater alignment it is made longer and the buffers moved up.
        if (!pool.map(stride * count + (alignment > page ? alignment : 0), options.huge_pages))
            return failure(ENOMEM);
        auto const base = reinterpret_cast<std::uintptr_t>(pool.mapping_);
        pool.header_->buffers = static_cast<std::byte*>(pool.mapping_) + (round_up(base, alignment) - base);
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
        mapping_ = std::exchange(taken.mapping_, mapping_);
        mapped_ = std::exchange(taken.mapped_, mapped_);
        huge_ = std::exchange(taken.huge_, huge_);
        header_ = std::exchange(taken.header_, header_);
        return *this;
    }
    ~buffer_pool() {
        if (!header_) return;
        // In a forked child those that are out are with requests of the parent's.
        [[maybe_unused]] bool const child = header_->process && *header_->process == mark_of_child;
        assert((child || available() == count()) && "kaio: a buffer_pool was destroyed while buffers of it were out");
        if (mapping_) ::munmap(mapping_, mapped_);
        if (header_->process) free_process_mark(header_->process);
        std::free(header_);
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

    // What puts the errors of try_make into words.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::pool_words>(); }

private:
    buffer_pool() noexcept = default;

    static buffer_pool unwrap(result<buffer_pool> made, std::uint32_t count, std::size_t size, std::size_t alignment) {
        if (!made) {
            int const error = made.error().value();
            detail::throw_error(error, pool_error_text(error, count, size, alignment));
        }
        return std::move(*made);
    }

    static constexpr std::size_t round_up(std::size_t n, std::size_t to) noexcept { return (n + to - 1) & ~(to - 1); }

    static constexpr std::size_t huge_page = std::size_t{2} << 20;
    static constexpr int huge_page_flags = MAP_HUGETLB | 21 << 26; // MAP_HUGE_2MB (3.8), whatever the default size is

    bool map(std::size_t bytes, bool huge) noexcept {
        if (huge && map_pages(round_up(bytes, huge_page), huge_page_flags)) {
            if ((huge_ = touch_huge_pages())) return true;
            ::munmap(mapping_, mapped_);
            mapping_ = nullptr;
        }
        if (!map_pages(bytes, 0)) return false;
        if (huge) huge_ = ::madvise(mapping_, mapped_, MADV_HUGEPAGE) == 0;
        return true;
    }

    bool map_pages(std::size_t bytes, int flags) noexcept {
        void* const made = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
        if (made == MAP_FAILED) return false;
        mapping_ = made;
        mapped_ = bytes;
        return true;
    }

    // That mmap gave huge pages is no promise: a cgroup is charged, and the thread's memory nodes are looked at, when a
    // page is touched, and where that fails it is SIGBUS. In a system call it is EFAULT. So the kernel writes one word
    // into each page. (MADV_POPULATE_WRITE does the same at once, but only since 5.14.)
    bool touch_huge_pages() noexcept {
        for (std::size_t at = 0; at < mapped_; at += huge_page) {
            auto* const word = static_cast<unsigned*>(static_cast<void*>(static_cast<std::byte*>(mapping_) + at));
            if (::syscall(SYS_getcpu, word, nullptr, nullptr) != 0) return false;
            *word = 0;
        }
        return true;
    }

    void* mapping_ = nullptr;
    std::size_t mapped_ = 0; // bytes
    bool huge_ = false;
    detail::pool_header* header_ = nullptr;
};

} // namespace kaio
