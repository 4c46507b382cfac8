// Which process is this? A context is not inherited by fork: a child that touched the ring or counted on its
// parent's requests would go wrong, so every context remembers the stamp of the process that made it.
// Any thread may call these. One page for the whole process, never freed.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdlib> // std::size_t

#include <sys/mman.h>

namespace kaio {

namespace detail {
inline unsigned no_process_page = 0;              // stands in until there is a page, and where there can be none
inline unsigned* process_page = &no_process_page; // holds the stamp; the kernel empties it in a forked child
inline unsigned last_process_stamp = 0;           // ordinary memory: a child goes on counting where its parent was
} // namespace detail

// The stamp of the running process: 0 in a process that has not called `stamp_process`, which a forked child has not.
// One load; no system call. A child made with CLONE_VM shares its parent's memory, contexts and stamp.
// Needs MADV_WIPEONFORK (4.14); on older kernels the child has its parent's stamp, and only the ring is kept from it.
inline unsigned process_stamp() noexcept {
    return __atomic_load_n(__atomic_load_n(&detail::process_page, __ATOMIC_ACQUIRE), __ATOMIC_RELAXED);
}

// Gives the running process a stamp that no ancestor has, unless it has one, and returns it; never 0.
// System calls: mmap and madvise once per program.
inline unsigned stamp_process() noexcept {
    unsigned* page = __atomic_load_n(&detail::process_page, __ATOMIC_ACQUIRE);
    if (page == &detail::no_process_page) {
        constexpr std::size_t size = sizeof(unsigned); // the kernel rounds up to a page
        void* fresh = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh != MAP_FAILED) {
#ifdef MADV_WIPEONFORK
            (void)::madvise(fresh, size, MADV_WIPEONFORK);
#endif
            if (__atomic_compare_exchange_n(&detail::process_page, &page, static_cast<unsigned*>(fresh), false,
                                            __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                page = static_cast<unsigned*>(fresh);
            else
                ::munmap(fresh, size); // another thread was faster, and `page` is now its page
        }
    }
    unsigned stamp = 0;
    unsigned const next = __atomic_add_fetch(&detail::last_process_stamp, 1, __ATOMIC_RELAXED);
    if (__atomic_compare_exchange_n(page, &stamp, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return next;
    return stamp;
}

} // namespace kaio
