// reset_on_move and owned: members that move by themselves, so that the classes around them can say `= default`:
//     detail::reset_on_move<std::size_t> size_;            // 0 in what was moved from
//     detail::owned<int, -1, close_descriptor> fd_;        // closed when it is replaced or destroyed
// Neither allocates or makes a system call. They are used by one thread at a time.
#pragma once

#include <kaio/sys/language.hpp>

#include <utility>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

// A plain value that moving sets to Empty where it was. Assigning a value or reading one is as for a T.
template <class T, T Empty = T{}> class reset_on_move {
public:
    constexpr reset_on_move() noexcept = default;
    constexpr reset_on_move(T value) noexcept : value_(value) {}
    constexpr reset_on_move(reset_on_move&& other) noexcept : value_(std::exchange(other.value_, Empty)) {}
    // Moving an object to itself leaves it as it is.
    constexpr reset_on_move& operator=(reset_on_move&& other) noexcept {
        T const moved = std::exchange(other.value_, Empty);
        value_ = moved;
        return *this;
    }
    reset_on_move(const reset_on_move&) = delete;
    reset_on_move& operator=(const reset_on_move&) = delete;

    constexpr reset_on_move& operator=(T value) noexcept {
        value_ = value;
        return *this;
    }

    constexpr operator const T&() const noexcept { return value_; }
    constexpr T& get() noexcept { return value_; }
    constexpr const T& get() const noexcept { return value_; }
    constexpr const T& operator->() const noexcept { return value_; }

private:
    T value_ = Empty;
};

// A value that names what must be given back. `Release{}(value)` is called once for each value but Empty, when another
// replaces it or its owner is destroyed. Moving sets it to Empty where it was. Release must not throw.
template <class T, T Empty, class Release> class owned {
public:
    constexpr owned() noexcept = default;
    constexpr explicit owned(T value) noexcept : value_(value) {}
    constexpr owned(owned&&) noexcept = default;
    // Moving an object to itself leaves it as it is.
    constexpr owned& operator=(owned&& other) noexcept {
        reset(other.release());
        return *this;
    }
    owned(const owned&) = delete;
    owned& operator=(const owned&) = delete;
    ~owned() { reset(); }

    constexpr const T& get() const noexcept { return value_; }
    constexpr explicit operator bool() const noexcept { return !(value_.get() == Empty); }

    // Returns the value and forgets it: it is the caller's to give back.
    [[nodiscard]] constexpr T release() noexcept { return std::exchange(value_.get(), Empty); }

    // Releases what it owns, then owns `value`.
    constexpr void reset(T value = Empty) noexcept {
        T const old = std::exchange(value_.get(), value);
        if (!(old == Empty)) Release{}(old);
    }

private:
    reset_on_move<T, Empty> value_{};
};

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
