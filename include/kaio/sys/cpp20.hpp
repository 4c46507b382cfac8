// What only C++20 can compile includes this first, itself or through another: one error instead of the hundreds that
// would follow. The raw layer (kaio/io/context.hpp, request.hpp, file.hpp and what they include) needs only C++17.
#pragma once

#if defined(__linux__) && (__cplusplus < 202002L || !defined(__cpp_concepts))
#error "kaio needs C++20: compile with -std=c++20 or later (GCC 11, Clang 15, or newer); its raw layer needs C++17"
#include <kaio: see the error above>
#endif

#include <kaio/sys/language.hpp>
