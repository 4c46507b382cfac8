// The kernel as a template parameter: the concept `kernel`, and `linux_kernel`, which has one thin function for each
// system call. Only here does errno become -errno: everything above sees negative results.
//     kaio::aio_context_id id = 0;
//     if (int const error = kaio::linux_kernel::io_setup(32, &id); error < 0) return error; // -EAGAIN, say
//     kaio::linux_kernel::io_destroy(id);
// Any thread may call these. basic_context says which calls on one context may run side by side.
#pragma once

#include <cerrno>
#if __cplusplus >= 202002L
#include <concepts>
#endif
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/process.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

#if __cplusplus >= 202002L
// What a context and a loop need of a kernel. Results are as the kernel's: not negative, or a negative errno.
// A policy is copied and moved with its context. No function may throw.
template <class Kernel>
concept kernel =
    requires(Kernel k, aio_context_id id, iocb** batch, iocb* block, io_event* events, const kernel_timespec* timeout,
             const sigset_t* blocked, void* memory, std::size_t size, const unsigned* mark) {
        // io_setup(2): makes a context for so many events, and writes its id to the pointer, where 0 must be.
        { k.io_setup(0u, &id) } noexcept -> std::same_as<int>;
        // io_destroy(2): waits for requests in flight, whose events are lost.
        { k.io_destroy(id) } noexcept -> std::same_as<int>;
        // io_submit(2): takes a prefix of the batch. Returns its length, or why the first request is refused.
        { k.io_submit(id, 0l, batch) } noexcept -> std::same_as<long>;
        // io_getevents(2): waits for at least min (first) events and takes at most max (second). No timeout means forever.
        { k.io_getevents(id, 0l, 0l, events, timeout) } noexcept -> std::same_as<long>;
        // io_pgetevents(2): the same, with a signal mask during the wait.
        { k.io_pgetevents(id, 0l, 0l, events, timeout, blocked) } noexcept -> std::same_as<long>;
        // io_cancel(2): returns -EINPROGRESS if the request's event will come through the ring.
        { k.io_cancel(id, block, events) } noexcept -> std::same_as<int>;
        // Monotonic time in nanoseconds.
        { k.now() } noexcept -> std::same_as<std::int64_t>;
        // Called between two looks at an empty ring.
        { k.relax() } noexcept;
        // Called before each look at a ring, because a look makes no system call: a simulated kernel lets time pass here.
        { k.look() } noexcept;
        // Makes a mark as sys/process.hpp has it, or returns null if there is no memory for one. And frees it.
        { k.mark_process() } noexcept -> std::same_as<const unsigned*>;
        { k.unmark_process(mark) } noexcept;
        // Keeps the ring's memory out of children made by fork.
        { k.keep_from_children(memory, size) } noexcept;
        // Opens a descriptor from which io_submit reads 0 bytes at once: that wakes a sleeping loop. And closes it.
        { k.open_waker() } noexcept -> std::same_as<int>;
        { k.close_waker(0) } noexcept;
    };

// What a loop with helpers needs beyond that. None of these waits for a disk.
template <class Kernel>
concept kernel_with_helpers = kernel<Kernel> && requires(const Kernel k) {
    // fcntl(2) with F_GETFL: the flags of open, or a negative errno.
    { k.status_flags(0) } noexcept -> std::same_as<int>;
    // True if the file lies in memory, so that its requests never block.
    { k.is_in_memory(0) } noexcept -> std::same_as<bool>;
    // readahead(2), by a helper: starts to read so many bytes at the offset into the page cache.
    { k.read_ahead(0, std::int64_t{}, std::uint64_t{}) } noexcept;
    // fstat(2): S_IFREG, S_IFBLK, …, or 0. Asked only of files that know RWF_NOWAIT.
    { k.file_type(0) } noexcept -> std::same_as<unsigned>;
};

#else
template <class> inline constexpr bool kernel = true; // nothing is checked in C++17
#endif

// Linux, by syscall(2). It is empty and has no state.
struct linux_kernel {
    // The system calls, as the concept has them.
    static int io_setup(unsigned events, aio_context_id* id) noexcept {
        return static_cast<int>(checked(::syscall(__NR_io_setup, events, id)));
    }
    static int io_destroy(aio_context_id id) noexcept {
        return static_cast<int>(checked(::syscall(__NR_io_destroy, id)));
    }
    static long io_submit(aio_context_id id, long count, iocb** batch) noexcept {
        return checked(::syscall(__NR_io_submit, id, count, batch));
    }
    static int io_cancel(aio_context_id id, iocb* block, io_event* result) noexcept {
        return static_cast<int>(checked(::syscall(__NR_io_cancel, id, block, result)));
    }

    // Calls plain io_getevents where there is one, because seccomp profiles of containers have denied io_pgetevents.
    static long io_getevents(aio_context_id id, long min, long max, io_event* events,
                             const kernel_timespec* timeout) noexcept {
#if defined(__NR_io_getevents)
        if constexpr (sizeof(long) == 8) return checked(::syscall(__NR_io_getevents, id, min, max, events, timeout));
        kernel_timespec32 narrow;
        long const result = checked(::syscall(__NR_io_getevents, id, min, max, events, narrowed(timeout, narrow)));
        if (result != -ENOSYS) return result; // a kernel without 32-bit time (COMPAT_32BIT_TIME=n) has no such call
#endif
        return io_pgetevents(id, min, max, events, timeout, nullptr);
    }

    // Errors: ENOSYS where the kernel (before 4.18) or a seccomp filter (EPERM) has no io_pgetevents.
    static long io_pgetevents(aio_context_id id, long min, long max, io_event* events, const kernel_timespec* timeout,
                              const sigset_t* mask) noexcept {
        aio_sigset const set{reinterpret_cast<std::uintptr_t>(mask), sigset_size};
        long result = -ENOSYS;
#if defined(__NR_io_pgetevents_time64)
        result = checked(::syscall(__NR_io_pgetevents_time64, id, min, max, events, timeout, &set));
#endif
#if defined(__NR_io_pgetevents)
        if constexpr (sizeof(long) == 8)
            result = checked(::syscall(__NR_io_pgetevents, id, min, max, events, timeout, &set));
        kernel_timespec32 narrow;
        if (sizeof(long) == 4 && result == -ENOSYS)
            result = checked(::syscall(__NR_io_pgetevents, id, min, max, events, narrowed(timeout, narrow), &set));
#endif
        return result == -EPERM ? -ENOSYS : result;
    }

    // System calls: none where the clock source lets the vDSO read it.
    static std::int64_t now() noexcept {
        timespec t{};
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }

    // Waits for some tens of nanoseconds, and lets the processor's other thread run.
    static void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("isb"); // yield is a no-op on most cores; isb waits about as long as x86's pause
#else
        __asm__ volatile("" ::: "memory");
#endif
    }

    // The reading end of a pipe whose other end is closed: every kernel and security policy has pipes.
    static int open_waker() noexcept {
        int ends[2];
        long const made = checked(::syscall(__NR_pipe2, ends, O_CLOEXEC));
        if (made < 0) return static_cast<int>(made);
        close_waker(ends[1]);
        return ends[0];
    }
    static void close_waker(int fd) noexcept { ::syscall(__NR_close, fd); }

    // fcntl(2) with F_GETFL.
    static int status_flags(int fd) noexcept { return static_cast<int>(checked(::fcntl(fd, F_GETFL))); }
    // tmpfs and hugetlbfs have seals, and no other file system has.
    static bool is_in_memory(int fd) noexcept { return ::fcntl(fd, F_GET_SEALS) >= 0; }
    // readahead(2) and fstat(2).
    static void read_ahead(int fd, std::int64_t offset, std::uint64_t bytes) noexcept {
        (void)::readahead(fd, detail::narrow<off_t>(offset), detail::narrow<std::size_t>(bytes));
    }
    static unsigned file_type(int fd) noexcept {
        struct stat status;
        return ::fstat(fd, &status) == 0 ? status.st_mode & S_IFMT : 0u;
    }

    // Does nothing: time passes by itself.
    static void look() noexcept {}

    // kaio/sys/process.hpp has these.
    static const unsigned* mark_process() noexcept { return make_process_mark(); }
    static void unmark_process(const unsigned* mark) noexcept { free_process_mark(mark); }

    // madvise(2) with MADV_DONTFORK.
    static void keep_from_children(void* memory, std::size_t size) noexcept {
        (void)::madvise(memory, size, MADV_DONTFORK);
    }

private:
#if defined(__mips__)
    static constexpr std::uintptr_t sigset_size = 16; // the kernel's signal set, not the C library's sigset_t
#else
    static constexpr std::uintptr_t sigset_size = 8;
#endif

    static long checked(long result) noexcept { return result < 0 ? -errno : result; }

    // Timeouts are relative. One of more than 31 bits of seconds (68 years) becomes the longest that there is.
    static const kernel_timespec32* narrowed(const kernel_timespec* wide, kernel_timespec32& narrow) noexcept {
        if (!wide) return nullptr;
        narrow.tv_sec = wide->tv_sec > INT32_MAX ? INT32_MAX : static_cast<std::int32_t>(wide->tv_sec);
        narrow.tv_nsec = static_cast<std::int32_t>(wide->tv_nsec);
        return &narrow;
    }
};
#if __cplusplus >= 202002L
static_assert(kernel_with_helpers<linux_kernel>);
#endif
static_assert(std::is_empty_v<linux_kernel>);

} // namespace KAIO_BUILD
} // namespace kaio
