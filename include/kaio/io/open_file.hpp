// open_file: what a file is to kaio. kaio::file and sim::file are such, and a class of your own may be:
//     struct segment {
//         int fd() const noexcept { return fd_; }
//         bool direct() const noexcept { return true; } // it was opened with O_DIRECT
//         kaio::file_alignment alignment() const noexcept { return {512, 4096}; }
//     };
// Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#if __cplusplus >= 202002L
#include <concepts>
#endif
#include <cstdint>
#include <type_traits>
#include <utility>

#include <kaio/io/file_offset.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// What direct I/O asks of a request, in bytes: powers of two.
struct file_alignment {
    std::uint32_t memory; // of the buffer's address
    std::uint32_t offset; // of the offset in the file, and of the length
    // Equal if both numbers are.
    friend constexpr bool operator==(const file_alignment& a, const file_alignment& b) noexcept {
        return a.memory == b.memory && a.offset == b.offset;
    }
    friend constexpr bool operator!=(const file_alignment& a, const file_alignment& b) noexcept { return !(a == b); }
};

// A file that says what direct I/O on it wants. Requests take it, and so does all that makes requests. It may also have
//     bool direct_ignored() const; // O_DIRECT means nothing now, and may mean something later: kaio::file::support
#if __cplusplus >= 202002L
template <class File>
concept open_file = requires(const File& file) {
    { file.fd() } noexcept -> std::convertible_to<int>;
    { file.direct() } -> std::convertible_to<bool>;
    { file.alignment() } -> std::convertible_to<file_alignment>;
};

#else
template <class File, class = void> inline constexpr bool open_file = false;
template <class File>
inline constexpr bool open_file<
    File, std::enable_if_t<std::is_convertible_v<decltype(std::declval<const File&>().fd()), int> &&
                           std::is_convertible_v<decltype(std::declval<const File&>().direct()), bool> &&
                           std::is_convertible_v<decltype(std::declval<const File&>().alignment()), file_alignment>>> =
    noexcept(std::declval<const File&>().fd());
#endif

#if __cplusplus >= 202002L
// A file whose size can be set, as ftruncate(2) does, for write_file and write_range. It may also have
//     bool appends() const; // it is written at its end only, as with O_APPEND
template <class File>
concept truncatable_file = open_file<File> && requires(const File& file, file_offset size) {
    { static_cast<bool>(file.try_truncate(size)) };
    { file.try_truncate(size).error().value() } -> std::same_as<int>;
};
#endif

namespace detail {

// True if requests on the file must be aligned.
template <class File> auto ignores_direct(const File& file, int) noexcept -> decltype(file.direct_ignored()) {
    return file.direct_ignored();
}
template <class File> bool ignores_direct(const File&, long) noexcept { return false; }

template <class File> bool wants_aligned(const File& file) noexcept { return ignores_direct(file, 0) || file.direct(); }

} // namespace detail

} // namespace KAIO_BUILD
} // namespace kaio
