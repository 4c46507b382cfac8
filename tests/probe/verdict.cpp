// kaio-probe's verdicts: what the figures mean, and that noise does not change the verdict.
#include "support/catch.hpp"

#include <vector>

#include "verdict.hpp"

using probe::judge;
using probe::sample;
using probe::verdict;

namespace {

constexpr std::size_t block = 4096;

// Returns 100 requests: `odd` of them are like the second sample, and the others like the first.
std::vector<sample> mixed(sample usual, sample strange = {}, unsigned odd = 0) {
    std::vector<sample> samples(100, usual);
    for (unsigned i = 0; i < odd; ++i) samples[(i * 37) % 100] = strange;
    return samples;
}

constexpr sample later{.submit = 10, .complete = 90, .inside = false, .slept = false};
constexpr sample waited{.submit = 120, .complete = 120, .inside = true, .slept = true};
constexpr sample copied{.submit = 2, .complete = 2, .inside = true, .slept = false};

} // namespace

TEST_CASE("a request that completes after io_submit has returned is asynchronous") {
    auto const t = judge(mixed(later), block);
    CHECK(t.verdict == verdict::asynchronous);
    CHECK(t.submit == 10);
    CHECK(t.complete == 90);
    CHECK(t.repetitions == 100);
    CHECK(t.note.empty());
    // A fast device and a slow processor: most of the time is spent inside the call, but nothing waits there.
    CHECK(judge(mixed({.submit = 9, .complete = 12, .inside = false, .slept = false}), block).verdict ==
          verdict::asynchronous);
}

TEST_CASE("a request for which the thread sleeps inside io_submit blocks there") {
    auto const t = judge(mixed(waited), block);
    CHECK(t.verdict == verdict::blocks);
    CHECK(t.inside == 1);
    CHECK(t.slept == 1);
    CHECK(t.note.empty());
    // Also if it is quick, and if its last step comes after io_submit has returned.
    CHECK(judge(mixed({.submit = 12, .complete = 12, .inside = true, .slept = true}), block).verdict ==
          verdict::blocks);
    CHECK(judge(mixed({.submit = 100, .complete = 130, .inside = false, .slept = true}), block).verdict ==
          verdict::blocks);
    CHECK(judge(mixed({.submit = 30, .complete = 130, .inside = false, .slept = true}), block).verdict ==
          verdict::asynchronous);
}

TEST_CASE("a request that the processor does as fast as memory allows completes at once") {
    CHECK(judge(mixed(copied), block).verdict == verdict::at_once);
    CHECK(judge(mixed({.submit = 70, .complete = 70, .inside = true, .slept = false}), 256 << 10).verdict ==
          verdict::at_once);
}

TEST_CASE("a device that completes requests inside the call is recognised as such") {
    auto const t = judge(mixed({.submit = 87, .complete = 87, .inside = true, .slept = false}), block);
    CHECK(t.verdict == verdict::blocks);
    CHECK_THAT(t.note, test::ContainsSubstring("host"));
}

TEST_CASE("a minority of other requests changes neither verdict nor median") {
    sample const delayed{.submit = 30'000, .complete = 50'000, .inside = true, .slept = true};
    auto const t = judge(mixed(later, delayed, 40), block);
    CHECK(t.verdict == verdict::asynchronous);
    CHECK(t.submit == 10);
    CHECK(t.complete == 90);
    CHECK_THAT(t.note, test::StartsWith("40 %"));
    CHECK(judge(mixed(copied, delayed, 40), block).verdict == verdict::at_once);
    CHECK(judge(mixed(waited, later, 40), block).verdict == verdict::blocks);
}

TEST_CASE("a request during which other threads ran is not counted if there are enough others") {
    sample const overtaken{.submit = 8, .complete = 40, .inside = true, .slept = false, .unclear = true};
    // A file system that waits inside io_submit for a thread. That thread mostly gets the processor before the wait.
    auto const waits = judge(mixed(overtaken, waited, 20), block);
    CHECK(waits.verdict == verdict::blocks);
    CHECK(waits.repetitions == 20);
    CHECK(waits.submit == 120);
    CHECK(waits.note.empty());
    // A file system that does not wait: the same thread does the same, and is late now and then.
    auto const goes_on = judge(mixed(overtaken, later, 20), block);
    CHECK(goes_on.verdict == verdict::asynchronous);
    CHECK(goes_on.repetitions == 20);
    CHECK(goes_on.note.empty());

    auto const nobody_knows = judge(mixed(overtaken, later, 5), block);
    CHECK(nobody_knows.repetitions == 100);
    CHECK_THAT(nobody_knows.note, test::StartsWith("unclear"));
}
