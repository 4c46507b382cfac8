// aligned_allocator: a standard allocator whose memory starts at a multiple of Alignment bytes, for containers that
// direct I/O reads into or writes from. Stateless; any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstddef>
#include <new>

namespace kaio::inline KAIO_BUILD {

// Alignment: a power of two, in bytes. The default, 4096, satisfies every common device and file system.
//
// A container fills what it makes: std::vector's resize(n) writes zeros to n elements before the kernel overwrites
// them. For a buffer that is only read into, aligned_buffer leaves its bytes unwritten. Direct I/O needs a length that
// is a multiple of the file's alignment too, and that is the container's size, which no allocator can round up.
template <class T, std::size_t Alignment = 4096> class aligned_allocator {
    static_assert(Alignment != 0 && (Alignment & (Alignment - 1)) == 0, "kaio: an alignment must be a power of two");

public:
    using value_type = T;
    static constexpr std::align_val_t alignment{Alignment > alignof(T) ? Alignment : alignof(T)};

    // Needed because Alignment is not a type: allocator_traits can't rebind by itself.
    template <class U> struct rebind {
        using other = aligned_allocator<U, Alignment>;
    };

    constexpr aligned_allocator() noexcept = default;
    template <class U> constexpr aligned_allocator(const aligned_allocator<U, Alignment>&) noexcept {}

    // Throws std::bad_alloc, or std::bad_array_new_length if the size in bytes is more than size_t holds.
    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > static_cast<std::size_t>(-1) / sizeof(T)) {
#if defined(__cpp_exceptions)
            throw std::bad_array_new_length();
#else
            __builtin_trap();
#endif
        }
        return static_cast<T*>(::operator new(count * sizeof(T), alignment));
    }
    void deallocate(T* memory, [[maybe_unused]] std::size_t count) noexcept {
#if defined(__cpp_sized_deallocation) // Clang before 19 has it only with -fsized-deallocation
        ::operator delete(memory, count * sizeof(T), alignment);
#else
        ::operator delete(memory, alignment);
#endif
    }

    template <class U>
    friend constexpr bool operator==(const aligned_allocator&, const aligned_allocator<U, Alignment>&) noexcept {
        return true;
    }
};

} // namespace kaio
