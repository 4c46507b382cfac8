#pragma once

#include <algorithm>

namespace test {

// How often a test repeats itself, or how many seeds it tries, if an optimized program does so `many` times, at least 20.
// A program that is not optimized takes some ten times as long for each, so it does a thirtieth, but at least 20. It
// looks for what a sanitizer or another processor shows; what is rare is for the optimized ones.
constexpr unsigned rounds([[maybe_unused]] unsigned many) {
#ifdef __OPTIMIZE__
    return many;
#else
    return (std::max)(many / 30, 20u);
#endif
}

} // namespace test
