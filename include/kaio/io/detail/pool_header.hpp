// pool_header: the part of a buffer_pool that its handles know. It lies on the heap, so that moving the pool leaves it
// where its handles look. It does not lie with the buffers: a forked child that destroys a handle writes here, and
// might get no huge page of its own for that. One thread at a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/sys/process.hpp>
#include <kaio/sys/sanitizers.hpp>

namespace kaio::inline KAIO_BUILD::detail {

constexpr std::size_t round_up(std::size_t size, std::size_t unit) noexcept { return (size + unit - 1) & ~(unit - 1); }

struct pool_header {
    std::size_t size;   // bytes in a buffer, as asked for
    std::size_t stride; // bytes from one buffer to the next
    std::uint32_t count;
    std::uint32_t free_count;
    const unsigned* process; // see sys/process.hpp; null: there was no memory for a mark

    void* mapping = nullptr;      // null: none yet
    std::size_t mapped = 0;       // bytes
    bool huge_pages = false;      // the mapping has them, or may get transparent ones
    std::byte* buffers = nullptr; // the first one, inside the mapping

    // The free buffers, as a stack: the one that was returned last is the warmest. `count` entries follow the header.
    std::uint32_t* free_stack() noexcept { return reinterpret_cast<std::uint32_t*>(this + 1); }

    std::byte* buffer(std::uint32_t index) const noexcept { return buffers + stride * index; }

    // Makes the mapping. False: no memory. System calls: mmap; with huge pages madvise, or one more for each page.
    bool map(std::size_t bytes, bool huge) noexcept {
        if (huge && map_pages(round_up(bytes, huge_page), huge_page_flags)) {
            if ((huge_pages = touch_huge_pages())) return true;
            ::munmap(mapping, mapped);
            mapping = nullptr;
        }
        if (!map_pages(bytes, 0)) return false;
        if (huge) huge_pages = ::madvise(mapping, mapped, MADV_HUGEPAGE) == 0;
        return true;
    }

private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20;
    static constexpr int huge_page_flags = MAP_HUGETLB | 21 << 26; // MAP_HUGE_2MB (3.8), whatever the default size is

    bool map_pages(std::size_t bytes, int flags) noexcept {
        void* const made = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
        if (made == MAP_FAILED) return false;
        mapping = made;
        mapped = bytes;
        return true;
    }

    // mmap promises nothing: a cgroup is charged, and the thread's memory nodes are looked at, when a page is touched.
    // Where that fails, a touch is SIGBUS, but a system call returns EFAULT. So the kernel writes one word into each
    // page. (MADV_POPULATE_WRITE does the same at once, but only since 5.14.)
    bool touch_huge_pages() noexcept {
        for (std::size_t offset = 0; offset < mapped; offset += huge_page) {
            auto* const word = static_cast<unsigned*>(static_cast<void*>(static_cast<std::byte*>(mapping) + offset));
            if (::syscall(SYS_getcpu, word, nullptr, nullptr) != 0) return false;
            *word = 0;
        }
        return true;
    }
};

// Ends a pool.
struct free_pool {
    void operator()(pool_header* pool) const noexcept {
        // In a forked child the handles that are out belong to requests of the parent.
        [[maybe_unused]] bool const child = pool->process && *pool->process == mark_of_child;
        assert((child || pool->free_count == pool->count) &&
               "kaio: a buffer_pool was destroyed while buffers of it were out");
        if (pool->mapping) {
            sanitizers::allow_access(pool->mapping, pool->mapped); // something else will be mapped there
            ::munmap(pool->mapping, pool->mapped);
        }
        if (pool->process) free_process_mark(pool->process);
        std::free(pool);
    }
};

// Where a buffer lies.
struct pool_place {
    pool_header* pool = nullptr; // null: no buffer
    std::uint32_t index = 0;

    friend bool operator==(const pool_place&, const pool_place&) = default;
};

// Returns a buffer to its pool.
struct return_to_pool {
    void operator()(pool_place place) const noexcept {
        sanitizers::forbid_access(place.pool->buffer(place.index), place.pool->size);
        place.pool->free_stack()[place.pool->free_count++] = place.index;
    }
};

} // namespace kaio::detail
