// <coroutine>, and one readable error where the compiler has no coroutines. Each header of this floor includes this
// first, itself or through another. The floors below do without coroutines.
#pragma once

#include <kaio/sys/cpp20.hpp>

#if !defined(__cpp_impl_coroutine)
#error "kaio/coro needs a compiler with coroutines (GCC 11, Clang 15, or newer); kaio/loop does without"
#include <kaio: see the error above>
#endif

#include <coroutine>

// GCC warns of code that it makes for coroutines itself: a switch without a default, and 0 for a null pointer. Nobody
// can mend that in the source, so those two warnings are off between these macros. They stay on in a user's coroutines.
#if defined(__GNUC__) && !defined(__clang__)
#define KAIO_COROUTINES_BEGIN                                                                                          \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wswitch-default\"")                              \
        _Pragma("GCC diagnostic ignored \"-Wzero-as-null-pointer-constant\"")
#define KAIO_COROUTINES_END _Pragma("GCC diagnostic pop")
#else
#define KAIO_COROUTINES_BEGIN
#define KAIO_COROUTINES_END
#endif
