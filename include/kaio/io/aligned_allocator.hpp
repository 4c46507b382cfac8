// aligned_allocator: a standard allocator for containers that direct I/O reads into or writes from.
//     std::vector<std::byte, kaio::aligned_allocator<std::byte>> block(4096);
//     loop.submit(kaio::write(file, block, 0), handler);
// It has no state. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstddef>
#include <new>

namespace kaio {
inline namespace KAIO_BUILD {

// Memory starts at a multiple of Alignment bytes, a power of two. The default satisfies every common device and file
// system.
//
// Direct I/O needs a length that is a multiple of the file's alignment too. That length is the container's size, which
// no allocator can round up. A container also fills what it makes: std::vector::resize writes zeros before the kernel
// overwrites them. aligned_buffer leaves its bytes unwritten.
template <class T, std::size_t Alignment = 4096> class aligned_allocator {
    static_assert(Alignment != 0 && (Alignment & (Alignment - 1)) == 0, "kaio: an alignment must be a power of two");

public:
    // What it allocates, and at which alignment in bytes: that of T if it is the larger one.
    using value_type = T;
    static constexpr std::align_val_t alignment{Alignment > alignof(T) ? Alignment : alignof(T)};

    // allocator_traits can't rebind by itself, because Alignment is not a type.
    template <class U> struct rebind {
        using other = aligned_allocator<U, Alignment>; // for elements of another type
    };

    constexpr aligned_allocator() noexcept = default;
    template <class U> constexpr aligned_allocator(const aligned_allocator<U, Alignment>&) noexcept {}

    // Room for `count` objects. Errors: throws std::bad_alloc, or std::bad_array_new_length if size_t can't hold the
    // number of bytes.
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

    // Equal always: one frees what another has allocated.
    template <class U>
    friend constexpr bool operator==(const aligned_allocator&, const aligned_allocator<U, Alignment>&) noexcept {
        return true;
    }
};

} // namespace KAIO_BUILD
} // namespace kaio
