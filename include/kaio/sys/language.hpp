// What the compiler must be told and be able to do, said in one line instead of the hundreds that would follow.
// Each header of kaio includes it before all else, by itself or by the headers that it includes.
#pragma once

// #error alone does not stop a compiler: an #include of what is not there does.
#if !defined(__linux__)
#error "kaio is for Linux: it calls the kernel's native AIO"
#include <kaio: see the error above>
#elif __cplusplus < 202002L || !defined(__cpp_concepts)
#error "kaio needs C++20: compile with -std=c++20 or later (GCC 11, Clang 15, or newer)"
#include <kaio: see the error above>
#endif
