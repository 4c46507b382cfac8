// What the compiler must be able to do, with one error instead of the hundreds that would follow, and the inline
// namespace that says how the code is built. Each header of kaio includes this first, itself or through another.
#pragma once

#include <kaio/version.hpp>

// #error does not stop a compiler, but an #include of a file that does not exist does.
#if !defined(__linux__)
#error "kaio is for Linux: it calls the kernel's native AIO"
#include <kaio: see the error above>
#elif __cplusplus < 201703L
#error "kaio needs C++20, and its raw layer C++17: compile with -std=c++20 or later (GCC 11, Clang 15, or newer)"
#include <kaio: see the error above>
#endif

// A constraint, which C++17 does not check, and what is said of a value that is dropped, which it does not say.
#if __cplusplus >= 202002L
#define KAIO_REQUIRES(...) requires(__VA_ARGS__)
#define KAIO_NODISCARD(text) [[nodiscard(text)]]
#define KAIO_STANDARD
#else
#define KAIO_REQUIRES(...)
#define KAIO_NODISCARD(text) [[nodiscard]]
#define KAIO_STANDARD _cxx17
#endif

// The sanitizer, if the code is built for one that the headers talk to.
#if defined(__has_feature)
#define KAIO_HAS_FEATURE(feature) __has_feature(feature)
#else
#define KAIO_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || KAIO_HAS_FEATURE(address_sanitizer)
#define KAIO_ASAN 1
#define KAIO_SANITIZER _asan
#elif defined(__SANITIZE_THREAD__) || KAIO_HAS_FEATURE(thread_sanitizer)
#define KAIO_TSAN 1
#define KAIO_SANITIZER _tsan
#elif KAIO_HAS_FEATURE(memory_sanitizer)
#define KAIO_MSAN 1
#define KAIO_SANITIZER _msan
#else
#define KAIO_SANITIZER
#endif
#undef KAIO_HAS_FEATURE

// Nothing with exceptions, for they are usual.
#if defined(__cpp_exceptions)
#define KAIO_EXCEPTIONS
#else
#define KAIO_EXCEPTIONS _no_exceptions
#endif

// The inline namespace that holds all of kaio, v0_2_0 for example. Parts of a program that are built differently get
// different names. So the linker can't give one part the functions of another, and does not link parts that hand each
// other objects of kaio (docs/decisions/one-name-for-each-build.md).
#define KAIO_JOIN_(major, minor, patch, standard, sanitizer, exceptions)                                               \
    v##major##_##minor##_##patch##standard##sanitizer##exceptions
#define KAIO_JOIN(...) KAIO_JOIN_(__VA_ARGS__)
#define KAIO_BUILD                                                                                                     \
    KAIO_JOIN(KAIO_VERSION_MAJOR, KAIO_VERSION_MINOR, KAIO_VERSION_PATCH, KAIO_STANDARD, KAIO_SANITIZER,               \
              KAIO_EXCEPTIONS)
