// narrow<To>(value): a cast between integers that have the same type on one machine and two types on another. There a
// static_cast is useless (-Wuseless-cast), and here no cast is a conversion (-Wconversion).
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>
#include <type_traits>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

template <class To, class From> constexpr To narrow(From value) noexcept {
    if constexpr (std::is_same_v<To, From>)
        return value;
    else
        return static_cast<To>(value);
}

// The pointer that a field of 64 bits holds.
template <class T, class From> T* pointer_in(From address) noexcept {
    return reinterpret_cast<T*>(narrow<std::uintptr_t>(address));
}

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
