// What a debug build says of a request that direct I/O will not accept. A release build has none of this: it is
// called in debug builds only, as assert() is (docs/decisions/one-name-for-each-build.md). Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#ifndef NDEBUG

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include <fcntl.h>
#include <sys/uio.h>

#include <kaio/io/file.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

inline void tell_no_multiple(const char* what, const char* value, const char* of, std::uint32_t unit) noexcept {
    std::fprintf(stderr,
                 "kaio: direct I/O: the %s %s%s is no multiple of %lu, which the file wants (file::alignment)\n", what,
                 value, of, narrow<unsigned long>(unit));
}

// One line for each of address and length that is wrong. `of` says which piece of a vector it is.
[[gnu::__cold__, gnu::__noinline__]] inline void
tell_unaligned_memory(std::uintptr_t address, std::size_t size, file_alignment wanted, const char* of = "") noexcept {
    char number[24];
    if (address % wanted.memory != 0) {
        std::snprintf(number, sizeof number, "%p", reinterpret_cast<void*>(address));
        tell_no_multiple("address", number, of, wanted.memory);
    }
    if (size % wanted.offset != 0) {
        std::snprintf(number, sizeof number, "%zu", size);
        tell_no_multiple("length", number, of, wanted.offset);
    }
}
[[gnu::__cold__, gnu::__noinline__]] inline void tell_unaligned_offset(file_offset offset,
                                                                       file_alignment wanted) noexcept {
    char number[24];
    if (offset.value() % std::int64_t{wanted.offset} == 0) return;
    std::snprintf(number, sizeof number, "%lld", narrow<long long>(offset.value()));
    tell_no_multiple("offset", number, "", wanted.offset);
}

// Of a read or write, or of each piece of a readv or writev.
[[gnu::__cold__, gnu::__noinline__]] inline void tell_unaligned(const iocb& block, file_alignment wanted) noexcept {
    auto const op = static_cast<opcode>(block.aio_lio_opcode);
    auto const address = narrow<std::uintptr_t>(block.aio_buf);
    if (op == opcode::pread || op == opcode::pwrite) {
        tell_unaligned_memory(address, narrow<std::size_t>(block.aio_nbytes), wanted);
    } else {
        auto const* vector = reinterpret_cast<const iovec*>(address);
        for (std::uint64_t i = 0; i < block.aio_nbytes; ++i) {
            char piece[40];
            std::snprintf(piece, sizeof piece, " of piece [%llu]", narrow<unsigned long long>(i));
            tell_unaligned_memory(reinterpret_cast<std::uintptr_t>(vector[i].iov_base), vector[i].iov_len, wanted,
                                  piece);
        }
    }
    tell_unaligned_offset(block.aio_offset, wanted);
}

// The same if the descriptor is open for direct I/O and the kernel reports what that wants. Where nothing is reported,
// the file may want less than kaio::file assumes.
[[gnu::__noinline__]] inline void tell_if_unaligned(const iocb& block) noexcept {
    int const fd = static_cast<int>(block.aio_fildes);
    int const flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_DIRECT) != 0) {
        if (auto borrowed = file::try_adopt(fd)) {
            if (borrowed->support() == direct_support::reported) tell_unaligned(block, borrowed->alignment());
            [[maybe_unused]] int const returned = borrowed->release();
        }
    }
}

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio

#endif
