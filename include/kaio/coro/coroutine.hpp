// <coroutine>, for the headers that have coroutines in them. What stands below this floor does without.
#pragma once

#include <kaio/sys/language.hpp>

#if !defined(__cpp_impl_coroutine)
#error "kaio/coro needs a compiler with coroutines (GCC 11, Clang 15, or newer); kaio/loop does without"
#include <kaio: see the error above>
#endif

#include <coroutine>

// GCC warns of the code that it makes of a coroutine itself: a switch without a default, and 0 for a null pointer. That
// is nothing that a program could mend. What is between these two is not warned of so; a user's own coroutines are.
#if defined(__GNUC__) && !defined(__clang__)
#define KAIO_COROUTINES_BEGIN                                                                                          \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wswitch-default\"")                              \
        _Pragma("GCC diagnostic ignored \"-Wzero-as-null-pointer-constant\"")
#define KAIO_COROUTINES_END _Pragma("GCC diagnostic pop")
#else
#define KAIO_COROUTINES_BEGIN
#define KAIO_COROUTINES_END
#endif
