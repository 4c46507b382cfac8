// What a debug build says of a request that direct I/O will not accept. A release build has none of this: it is
// called in debug builds only, as assert() is (docs/decisions/one-name-for-each-build.md). Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#ifndef NDEBUG

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include <fcntl.h>

#include <kaio/io/file.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// One line for each of address, length and offset that is wrong.
[[gnu::__cold__, gnu::__noinline__]] inline void tell_unaligned(std::uintptr_t address, std::size_t size,
                                                                file_offset offset, file_alignment wanted) noexcept {
    auto const tell = [](const char* what, const char* value, std::uint32_t unit) {
        std::fprintf(stderr,
                     "kaio: direct I/O: the %s %s is no multiple of %lu, which the file wants (file::alignment)\n",
                     what, value, narrow<unsigned long>(unit));
    };
    char number[24];
    if (address % wanted.memory != 0) {
        std::snprintf(number, sizeof number, "%p", reinterpret_cast<void*>(address));
        tell("address", number, wanted.memory);
    }
    if (size % wanted.offset != 0) {
        std::snprintf(number, sizeof number, "%zu", size);
        tell("length", number, wanted.offset);
    }
    if (offset.value() % std::int64_t{wanted.offset} != 0) {
        std::snprintf(number, sizeof number, "%lld", narrow<long long>(offset.value()));
        tell("offset", number, wanted.offset);
    }
}

// The same for an int, if it is open for direct I/O and the kernel reports what that wants. Where nothing is reported,
// the file may want less than kaio::file assumes.
[[gnu::__noinline__]] inline void tell_if_unaligned(int fd, std::uintptr_t address, std::size_t size,
                                                    file_offset offset) noexcept {
    int const flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_DIRECT) != 0) {
        if (auto borrowed = file::try_adopt(fd)) {
            if (borrowed->support() == direct_support::reported)
                tell_unaligned(address, size, offset, borrowed->alignment());
            [[maybe_unused]] int const returned = borrowed->release();
        }
    }
}

} // namespace kaio::detail

#endif
