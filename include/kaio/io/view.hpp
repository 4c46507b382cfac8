// view: a pointer and a length, where a function takes many of something. It is used as a std::span is, is made from
// whatever makes a std::span, and makes one itself:
//     std::vector<std::byte> bytes(4096);
//     kaio::view<std::byte> all = bytes;
//     file.put(0, all.subspan(512, 1024)); // takes a std::span
// docs/decisions/views.md says why it is not a std::span. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cassert>
#include <cstddef>
#include <iterator>
#include <string_view> // has std::ranges::enable_borrowed_range, as <ranges> does at several times the cost
#include <type_traits>
#include <utility>

namespace kaio {
inline namespace KAIO_BUILD {

template <class T> class view;

namespace detail {

// What only shows the elements of others: it may be gone before a view of it.
#if __cplusplus >= 202002L
template <class Range> inline constexpr bool is_borrowed = std::ranges::enable_borrowed_range<Range>;
#else
template <class Range> inline constexpr bool is_borrowed = false;
template <class T> inline constexpr bool is_borrowed<view<T>> = true;
template <class Char, class Traits> inline constexpr bool is_borrowed<std::basic_string_view<Char, Traits>> = true;
#endif

template <class Range> using element_of = std::remove_pointer_t<decltype(std::data(std::declval<Range&>()))>;

template <class Range> using size_type_of = decltype(std::size(std::declval<Range&>()));

// A view of T can show it: it has data() and size(), and its elements are T, but perhaps for a const.
template <class Range, class T, class = void> inline constexpr bool can_show = false;
template <class Range, class T>
inline constexpr bool can_show<Range, T, std::void_t<element_of<Range>, size_type_of<Range>>> =
    std::is_convertible_v<element_of<Range> (*)[], T (*)[]>;

} // namespace detail

// It owns nothing: what it shows must outlive it.
template <class T> class view {
public:
    constexpr view() noexcept = default;
    constexpr view(T* data, std::size_t size) noexcept : data_(data), size_(size) {}

    // Of an array, std::array, std::vector, std::span, aligned_buffer: anything with data() and size();
    // a temporary one only where a std::span takes it.
    template <class Range,
              std::enable_if_t<detail::can_show<Range, T> && (std::is_lvalue_reference_v<Range> || std::is_const_v<T> ||
                                                              detail::is_borrowed<std::remove_cv_t<Range>>),
                               int> = 0>
    constexpr view(Range&& range) noexcept : data_(std::data(range)), size_(std::size(range)) {}

    // As for std::span.
    constexpr T* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T* begin() const noexcept { return data_; }
    constexpr T* end() const noexcept { return data_ + size_; }

    // The element number `index`, which must be less than size().
    constexpr T& operator[](std::size_t index) const noexcept {
        assert(index < size_ && "kaio: a view was read behind its end");
        return data_[index];
    }

    // The first or last `count` elements, which must be there.
    constexpr view first(std::size_t count) const noexcept { return subspan(0, count); }
    constexpr view last(std::size_t count) const noexcept {
        assert(count <= size_ && "kaio: the last of a view are more than all of it");
        return {data_ + (size_ - count), count};
    }

    // `count` elements from `offset` on, which must be there; without a count, all that follow.
    constexpr view subspan(std::size_t offset) const noexcept {
        assert(offset <= size_ && "kaio: a part of a view begins behind its end");
        return {data_ + offset, size_ - offset};
    }
    constexpr view subspan(std::size_t offset, std::size_t count) const noexcept {
        assert(offset <= size_ && count <= size_ - offset && "kaio: a part of a view goes beyond its end");
        return {data_ + offset, count};
    }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace KAIO_BUILD
} // namespace kaio

#if __cplusplus >= 202002L
// A std::span is made from a temporary view too.
template <class T> inline constexpr bool std::ranges::enable_borrowed_range<kaio::view<T>> = true;
#endif
