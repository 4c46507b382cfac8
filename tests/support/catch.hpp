// What every test includes: Catch2, major version 2 or 3, whichever the build found. All that differs between the two
// is here, and only here. CATCH_CONFIG_RUNNER, before the include, adds what the main function needs, and
// CATCH_CONFIG_ENABLE_BENCHMARKING, in all files of a program alike, what benchmarks need: Catch2 2 has these macros, and
// here they mean the same for Catch2 3.
#pragma once

#include <string>

#if __has_include(<catch2/catch_test_macros.hpp>) // 3

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#ifdef CATCH_CONFIG_ENABLE_BENCHMARKING
#include <catch2/benchmark/catch_benchmark.hpp>
#endif
#ifdef CATCH_CONFIG_RUNNER
#include <catch2/catch_session.hpp>
#include <catch2/catch_test_case_info.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
#endif

namespace test {

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;

inline void leave_test_case() { SKIP(); }

#ifdef CATCH_CONFIG_RUNNER
using event_listener = Catch::EventListenerBase;
inline const std::string& name_of(const Catch::TestCaseStats& stats) { return stats.testInfo->name; }
#endif

} // namespace test

#else // 2

#include <catch2/catch.hpp>

namespace test {

inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
using Catch::Matchers::StartsWith;

// Catch2 2 knows no skip. It takes this exception of its own for "left early", which is a failure only if an assertion
// failed before.
inline void leave_test_case() { throw Catch::TestFailureException(); }

#ifdef CATCH_CONFIG_RUNNER
using event_listener = Catch::TestEventListenerBase;
inline const std::string& name_of(const Catch::TestCaseStats& stats) { return stats.testInfo.name; }
#endif

} // namespace test

#endif

namespace test {
void record_skip(const std::string& reason);
}

// Leaves the test case, from whatever depth, and has it counted as skipped.
#define SKIP_TEST(reason)                                                                                              \
    do {                                                                                                               \
        ::test::record_skip(reason);                                                                                   \
        ::test::leave_test_case();                                                                                     \
    } while (false)
