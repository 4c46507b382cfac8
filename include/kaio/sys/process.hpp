// A mark tells the process that made it from its children. A child of fork must not use its parent's context: the ring
// and the requests are the parent's. So each context has a mark, a word of memory that the kernel empties in children.
//     const unsigned* const mark = kaio::make_process_mark();
//     if (fork() == 0) assert(*mark == kaio::mark_of_child);
//     kaio::free_process_mark(mark);
// Nothing here is global, because a program of several shared objects can have every global twice. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstddef>

#include <sys/mman.h>
#include <unistd.h>

namespace kaio {
inline namespace KAIO_BUILD {

// What a mark holds.
inline constexpr unsigned mark_of_child = 0;   // in a child, where the kernel has emptied the page
inline constexpr unsigned mark_of_process = 1; // in the process that made it
inline constexpr unsigned mark_of_nobody = 2;  // for an object that was moved from

// Bytes of a mark: a page. The kernel would round less up, but ThreadSanitizer forgets only whole pages, and the next
// thing to lie there may be another thread's ring.
inline std::size_t process_mark_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// Returns a new mark, or null if there is no memory for its page. It needs MADV_WIPEONFORK (4.14): on older kernels a
// child sees its parent's mark, and lacks only the ring. A child made with CLONE_VM shares memory, contexts and marks.
// System calls: mmap, madvise.
inline const unsigned* make_process_mark() noexcept {
    std::size_t const size = process_mark_size();
    void* const page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return nullptr;
#ifdef MADV_WIPEONFORK
    (void)::madvise(page, size, MADV_WIPEONFORK);
#endif
    auto* const mark = static_cast<unsigned*>(page);
    *mark = mark_of_process;
    return mark;
}

// REQUIRES: `mark` comes from make_process_mark. System calls: munmap.
inline void free_process_mark(const unsigned* mark) noexcept {
    (void)::munmap(const_cast<unsigned*>(mark), process_mark_size());
}

} // namespace KAIO_BUILD
} // namespace kaio
