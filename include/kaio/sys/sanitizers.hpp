// What sanitizers and Valgrind must be told, because they can't see what the kernel does. Without them every function
// here is empty. Under MemorySanitizer the iocb and its iovecs are read again at completion. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include <kaio/sys/abi.hpp>

#if defined(KAIO_ASAN)
#include <cstdio>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <unwind.h>
#elif defined(KAIO_TSAN)
#include <sanitizer/tsan_interface.h>
#elif defined(KAIO_MSAN)
#include <sanitizer/msan_interface.h>
#endif
#if defined(KAIO_ASAN) || defined(KAIO_MSAN)
#include <sys/uio.h>
#endif
#if !defined(__x86_64__) && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

namespace kaio {
inline namespace KAIO_BUILD {
namespace sanitizers {

// True if Valgrind runs the program. It maps less of the ring than there is, and does not see the kernel fill it, so
// there events are taken by io_getevents, which it understands. On processors other than x86-64 this is known only if
// <valgrind/valgrind.h> was there at compile time.
inline bool under_valgrind() noexcept {
#if defined(__x86_64__)
    // The request RUNNING_ON_VALGRIND as valgrind.h makes it: rotations that come to nothing, and an exchange of a
    // register with itself, which only Valgrind takes for a call. It is spelt out because few machines have the header.
    unsigned long const request[6] = {0x1001, 0, 0, 0, 0, 0};
    unsigned long answer = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\txchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(request)
                     : "cc", "memory");
    return answer != 0;
#elif defined(RUNNING_ON_VALGRIND)
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

#if defined(KAIO_ASAN) || defined(KAIO_MSAN)
// Calls visit(address, bytes) for each piece of memory that the request names, for at most `limit` bytes in all.
template <class Visit> void for_each_buffer(const iocb& block, std::uint64_t limit, Visit visit) noexcept {
    auto const op = static_cast<opcode>(block.aio_lio_opcode);
    if (op == opcode::pread || op == opcode::pwrite) {
        auto const size = block.aio_nbytes < limit ? block.aio_nbytes : limit;
        visit(reinterpret_cast<char*>(static_cast<std::uintptr_t>(block.aio_buf)), static_cast<std::size_t>(size));
    } else if (op == opcode::preadv || op == opcode::pwritev) {
        auto const* vector = reinterpret_cast<const iovec*>(static_cast<std::uintptr_t>(block.aio_buf));
        for (std::uint64_t i = 0; i < block.aio_nbytes && limit > 0; ++i) {
            auto const size = vector[i].iov_len < limit ? vector[i].iov_len : limit;
            visit(static_cast<char*>(vector[i].iov_base), static_cast<std::size_t>(size));
            limit -= size;
        }
    }
}
#endif

// Where a request was submitted, for AddressSanitizer's report of its buffer. It is empty without AddressSanitizer.
class call_stack {
public:
    // Stores the innermost callers. They are found by unwind tables, because frame pointers may be left out.
    void remember() noexcept {
#if defined(KAIO_ASAN)
        count_ = 0;
        _Unwind_Backtrace(&add, this);
#endif
    }

    // On stderr, if it was stored.
    void print() const noexcept {
#if defined(KAIO_ASAN)
        if (count_ != 0) std::fputs("kaio: the request whose buffer is reported next was submitted here:\n", stderr);
        for (unsigned i = 0; i < count_; ++i) {
            char lines[2048]; // of a call and those that were inlined there, each ended by a 0, and one more 0
            __sanitizer_symbolize_pc(reinterpret_cast<void*>(frames_[i]), "    %p %F %L", lines, sizeof lines);
            for (const char* line = lines; *line != 0; line += __builtin_strlen(line) + 1)
                std::fprintf(stderr, "%s\n", line);
        }
#endif
    }

private:
#if defined(KAIO_ASAN)
    static constexpr unsigned most = 12; // of which kaio's own are up to 8, in a build without inlining

    static _Unwind_Reason_Code add(_Unwind_Context* frame, void* to) noexcept {
        auto& self = *static_cast<call_stack*>(to);
        auto const address = _Unwind_GetIP(frame);
        if (self.count_ == most || address == 0) return _URC_END_OF_STACK;
        self.frames_[self.count_++] = address;
        return _URC_NO_REASON;
    }

    std::uintptr_t frames_[most]{}; // return addresses
    unsigned count_ = 0;
#endif
};

// Has AddressSanitizer report a request whose memory is freed, out of scope or foreign: the kernel touches it unseen.
// A request of a loop is looked at when the kernel is given it and when it has completed. One of the raw layer is
// looked at when it is submitted: afterwards its iocb may be gone, because the kernel has a copy. In between the program
// can touch the buffer without a report (docs/decisions/poisoning-in-flight.md).
inline void check_buffers([[maybe_unused]] const iocb& block, [[maybe_unused]] const call_stack& submitter) noexcept {
#if defined(KAIO_ASAN)
    for_each_buffer(block, UINT64_MAX, [&](char* data, std::size_t size) {
        if (void* bad = __asan_region_is_poisoned(data, size)) {
            submitter.print();
            (void)*static_cast<volatile char*>(bad);
        }
    });
#endif
}

// Has AddressSanitizer report each access to these bytes, until allow_access.
inline void forbid_access([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t size) noexcept {
#if defined(KAIO_ASAN)
    __asan_poison_memory_region(data, size);
#endif
}
inline void allow_access([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t size) noexcept {
#if defined(KAIO_ASAN)
    __asan_unpoison_memory_region(data, size);
#endif
}

// To be called before io_submit, with the iocb that goes to it.
inline void submitting([[maybe_unused]] iocb* block) noexcept {
    check_buffers(*block, call_stack());
#if defined(KAIO_MSAN)
    auto const op = static_cast<opcode>(block->aio_lio_opcode);
    if (op == opcode::pwrite || op == opcode::pwritev)
        for_each_buffer(*block, UINT64_MAX,
                        [](char* data, std::size_t size) { __msan_check_mem_is_initialized(data, size); });
#endif
#if defined(KAIO_TSAN)
    __tsan_release(block);
#endif
}

// To be called with each event that the kernel delivers, before anyone looks at its request.
inline void completed([[maybe_unused]] io_event* event) noexcept {
#if defined(KAIO_MSAN)
    __msan_unpoison(event, sizeof *event);
    auto const& block = *event->request();
    auto const op = static_cast<opcode>(block.aio_lio_opcode);
    if (event->res > 0 && (op == opcode::pread || op == opcode::preadv))
        for_each_buffer(block, static_cast<std::uint64_t>(event->res),
                        [](char* data, std::size_t size) { __msan_unpoison(data, size); });
#endif
#if defined(KAIO_TSAN)
    __tsan_acquire(event->request());
#endif
}

} // namespace sanitizers
} // namespace KAIO_BUILD
} // namespace kaio
