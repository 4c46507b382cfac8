// view: a pointer and a length, where a function takes many of something. Made from whatever makes a std::span, and
// itself makes one. It is not a std::span because <span>, and the concepts that each use of it checks, are a tenth of
// what kaio would cost to compile.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdlib>     // std::size_t
#include <string_view> // std::data, std::size, enable_borrowed_range; <system_error> includes it anyway
#include <type_traits>

namespace kaio::inline KAIO_BUILD {

namespace detail {
template <class From, class To>
concept same_but_const = requires(std::remove_reference_t<From> (*from)[], To (*&to)[]) { to = from; };
} // namespace detail

// It owns nothing: what it shows must outlive it.
template <class T> class view {
public:
    constexpr view() noexcept = default;
    constexpr view(T* data, std::size_t size) noexcept : data_(data), size_(size) {}

    // Of an array, std::array, std::vector, std::span, aligned_buffer: anything with data() and size();
    // a temporary one only where a std::span takes it.
    template <class Range>
        requires(std::is_lvalue_reference_v<Range> || std::is_const_v<T> ||
                 std::ranges::enable_borrowed_range<std::remove_cv_t<Range>>) &&
                    requires(Range& range) {
                        { *std::data(range) } -> detail::same_but_const<T>;
                        std::size(range);
                    }
    constexpr view(Range&& range) noexcept : data_(std::data(range)), size_(std::size(range)) {}

    constexpr T* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T* begin() const noexcept { return data_; }
    constexpr T* end() const noexcept { return data_ + size_; }
    constexpr T& operator[](std::size_t i) const noexcept { return data_[i]; } // REQUIRES: i < size()

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace kaio

// A view may be gone before what it shows: so a std::span is made from a temporary one too.
template <class T> inline constexpr bool std::ranges::enable_borrowed_range<kaio::view<T>> = true;
