// file_offset: a place in a file, or a size of one, in bytes. Functions take it, and callers have any kind of integer.
//     loop.submit(kaio::read(file, buffer, file.size() - buffer.size()), handler); // the last bytes of the file
// docs/decisions/offsets.md says why it is not a std::int64_t. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cassert>
#include <cstdint>
#include <type_traits>

#include <kaio/sys/narrow.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// It holds an offset as the kernel does, in 64 bits with a sign. The kernel refuses a negative one with EINVAL.
// Making one costs nothing. Numbers with a point, truth values and pointers are no offsets.
class file_offset {
public:
    // Of any integer. An unsigned one that is too large, such as the difference 0u - 512u, becomes negative, so the
    // kernel refuses it. A debug build stops there.
    template <class Integer, std::enable_if_t<std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>, int> = 0>
    constexpr file_offset(Integer offset) noexcept : value_(detail::narrow<std::int64_t>(offset)) {
        assert((std::is_signed_v<Integer> || value_ >= 0) && detail::narrow<Integer>(value_) == offset &&
               "kaio: an offset is 2^63 or more: a difference of sizes that went below 0?");
    }

    // Of what becomes an integer by itself, such as an enumerator or a std::atomic<std::int64_t>.
    template <class Other, std::enable_if_t<!std::is_arithmetic_v<Other> && !std::is_same_v<Other, file_offset> &&
                                                std::is_convertible_v<const Other&, std::int64_t>,
                                            int> = 0>
    constexpr file_offset(const Other& offset) noexcept : value_(offset) {}

    // The offset in bytes.
    constexpr std::int64_t value() const noexcept { return value_; }

private:
    std::int64_t value_;
};

} // namespace KAIO_BUILD
} // namespace kaio
