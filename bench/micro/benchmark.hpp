// What every micro-benchmark includes: Catch2's BENCHMARK, major version 2 or 3, whichever the build found.
#pragma once

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>
#else
#include <catch2/catch.hpp> // meson.build defines CATCH_CONFIG_ENABLE_BENCHMARKING, for all files alike
#endif
