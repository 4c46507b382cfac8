// What every test includes: Catch2, major version 2 or 3, whichever the build found.
#pragma once

#include <string>

#if __has_include(<catch2/catch_test_macros.hpp>)
#define KAIO_TEST_CATCH 3
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#else
#define KAIO_TEST_CATCH 2
#include <catch2/catch.hpp>
#endif

// Catch2 2 has these in namespace Catch, Catch2 3 in Catch::Matchers.
namespace test {
#if KAIO_TEST_CATCH == 3
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
#else
inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
using Catch::Matchers::StartsWith;
#endif

void record_skip(const std::string& reason);
} // namespace test

// Leaves the test case, from whatever depth, and has it counted as skipped. Catch2 2 knows no skip, but takes this
// exception of its own for "left early", which is a failure only if an assertion failed before.
#if KAIO_TEST_CATCH == 3
#define SKIP_TEST(reason)                                                                                              \
    do {                                                                                                               \
        ::test::record_skip(reason);                                                                                   \
        SKIP();                                                                                                        \
    } while (false)
#else
#define SKIP_TEST(reason)                                                                                              \
    do {                                                                                                               \
        ::test::record_skip(reason);                                                                                   \
        throw Catch::TestFailureException();                                                                           \
    } while (false)
#endif
