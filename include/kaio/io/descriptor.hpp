// descriptor: the file of a request, as the factories in kaio/io/request.hpp take it. It owns nothing. Any thread.
//     kaio::request read_head(kaio::descriptor file, kaio::view<std::byte> head) { return kaio::read(file, head, 0); }
//     read_head(0, head), read_head(file, head); // an int, a kaio::file, a sim::file, anything with fd()
#pragma once

#include <kaio/sys/language.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include <kaio/io/detail/alignment_message.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

class descriptor {
public:
    constexpr descriptor(int fd) noexcept : fd_(fd) {}
    // Of an open_file, or of anything else with fd(), which then is as an int.
    template <class File, std::enable_if_t<std::is_convertible_v<decltype(std::declval<const File&>().fd()), int> &&
                                               noexcept(std::declval<const File&>().fd()),
                                           int> = 0>
    descriptor(const File& file) noexcept : fd_(file.fd()) {
#if __cplusplus >= 202002L
        constexpr bool says_more = requires {
            file.alignment();
            file.direct();
        };
        static_assert(open_file<File> || !says_more,
                      "kaio: alignment() of a file must return a kaio::file_alignment, and direct() a bool");
#endif
        if constexpr (open_file<File>)
            if (detail::wants_aligned(file)) {
                file_alignment const alignment = file.alignment();
                memory_mask_ = alignment.memory - 1;
                offset_mask_ = alignment.offset - 1;
            }
    }

    // The descriptor, as open(2) returns it.
    constexpr int fd() const noexcept { return fd_; }

    // True if direct I/O accepts these, and for an int, which knows no alignment.
    bool accepts(const void* data, std::size_t size, file_offset offset) const noexcept {
        return (reinterpret_cast<std::uintptr_t>(data) & memory_mask_) == 0 &&
               ((size | static_cast<std::uint64_t>(offset.value())) & offset_mask_) == 0;
    }

    // The unit of offsets and lengths in bytes if the file is known to be open for direct I/O, else 0.
    constexpr std::uint32_t direct_unit() const noexcept { return offset_mask_ == 0 ? 0 : offset_mask_ + 1; }

    // For a debug build: says on stderr what direct I/O will not accept, and what it wants instead. Then it ends the
    // program. If no alignment is known, as of an int, the kernel's EINVAL will be the request's result. In a release
    // build it does nothing.
    void expect_aligned([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t size,
                        [[maybe_unused]] file_offset offset) const noexcept {
#ifndef NDEBUG
        if (accepts(data, size, offset)) return;
        file_alignment const wanted{memory_mask_ + 1, offset_mask_ + 1};
        detail::tell_unaligned_memory(reinterpret_cast<std::uintptr_t>(data), size, wanted);
        detail::tell_unaligned_offset(offset, wanted);
        std::abort();
#endif
    }

    // For a debug build: says the same of a read or write, and of each piece of a readv or writev, that the kernel has
    // refused with EINVAL, if it was for direct I/O. A loop calls it. System calls: fcntl, and with O_DIRECT statx or an
    // ioctl. In a release build it does nothing.
    static void explain_refusal([[maybe_unused]] const iocb& block) noexcept {
#ifndef NDEBUG
        auto const op = static_cast<opcode>(block.aio_lio_opcode);
        if (op == opcode::pread || op == opcode::pwrite || op == opcode::preadv || op == opcode::pwritev)
            detail::tell_if_unaligned(block);
#endif
    }

private:
    int fd_;
    std::uint32_t memory_mask_ = 0; // the alignment in bytes, which is a power of two, less 1
    std::uint32_t offset_mask_ = 0;
};

} // namespace KAIO_BUILD
} // namespace kaio
