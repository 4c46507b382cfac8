// narrow: a cast between integers that may be of the same type on this machine and of two on another. A static_cast would
// be a useless one there (-Wuseless-cast), and no cast a conversion here (-Wconversion).
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdint>
#include <type_traits>

namespace kaio::inline KAIO_BUILD::detail {

template <class To, class From> constexpr To narrow(From value) noexcept {
    if constexpr (std::is_same_v<To, From>)
        return value;
    else
        return static_cast<To>(value);
}

// The pointer that lies in a field of 64 bits.
template <class T, class From> T* pointer_in(From address) noexcept {
    return reinterpret_cast<T*>(narrow<std::uintptr_t>(address));
}

} // namespace kaio::detail
