// The main function of every test program. Its last line on stdout is `N passed, N failed, N skipped`, in test cases,
// and each skip has a line `skipped: <test case>: <reason>`; tests/run adds them up.
#define CATCH_CONFIG_RUNNER // Catch2 2 compiles its implementation here

#include "catch.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

struct {
    int passed = 0, failed = 0, skipped = 0;
    std::vector<std::string> reasons; // of the running test case
} count;

struct listener : test::event_listener {
    using test::event_listener::event_listener;

    void testCaseStarting(const Catch::TestCaseInfo&) override { count.reasons.clear(); }

    void testCaseEnded(const Catch::TestCaseStats& stats) override {
        if (stats.totals.testCases.failed > 0) {
            ++count.failed;
        } else if (count.reasons.empty()) {
            ++count.passed;
        } else {
            ++count.skipped;
            // A case with a generator may skip for the same reason many times.
            std::sort(count.reasons.begin(), count.reasons.end());
            count.reasons.erase(std::unique(count.reasons.begin(), count.reasons.end()), count.reasons.end());
            for (const std::string& reason : count.reasons)
                std::printf("skipped: %s: %s\n", test::name_of(stats).c_str(), reason.c_str());
        }
    }
};

CATCH_REGISTER_LISTENER(listener)

} // namespace

void test::record_skip(const std::string& reason) { count.reasons.push_back(reason); }

int main(int argc, char* argv[]) {
    Catch::Session session;
    const int result = session.run(argc, argv);
    const int ran = count.passed + count.failed + count.skipped;
    if (ran == 0) return result; // --list-tests and the like, or a wrong option
    std::printf("%d passed, %d failed, %d skipped\n", count.passed, count.failed, count.skipped);
    return count.failed > 0 ? 1 : 0; // Catch2 3 returns 4 where all were skipped
}
