// exchange: std::exchange for numbers and pointers. std's, and std::swap, ask so much about a type that they were a
// thirtieth of what kaio costs to compile.
#pragma once

#include <kaio/sys/language.hpp>

#include <type_traits>

namespace kaio::inline KAIO_BUILD::detail {

// Gives what `object` was, and makes it `value`.
template <class T> constexpr T exchange(T& object, std::type_identity_t<T> value) noexcept {
    T const was = object;
    object = value;
    return was;
}

} // namespace kaio::detail
