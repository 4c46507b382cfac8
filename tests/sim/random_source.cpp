#include <kaio/sim/random_source.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <set>

#include "support/catch.hpp"

using kaio::sim::random_source;

static_assert(std::uniform_random_bit_generator<random_source>);
static_assert(random_source(1)() == random_source(1)()); // constant expressions, too

TEST_CASE("the numbers are those of splitmix64, whatever the machine") {
    random_source random(1234567);
    for (std::uint64_t const expected : {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                         4593380528125082431u, 16408922859458223821u})
        CHECK(random() == expected);
}

TEST_CASE("below gives every number under the limit and no other, and 0 for 0") {
    random_source random(1);
    std::set<unsigned> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(random.below(10u));
    CHECK(seen == std::set<unsigned>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    CHECK(random.below(0) == 0);
    CHECK(random.below(1) == 0);
}

TEST_CASE("between gives every number from least to most and no other") {
    random_source random(2);
    std::set<int> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(random.between(-2, 2));
    CHECK(seen == std::set<int>{-2, -1, 0, 1, 2});
    CHECK(random.between(7, 7) == 7);
}

TEST_CASE("between takes all numbers of a type, and more than half of them") {
    random_source random(3);
    std::set<int> seen;
    for (int i = 0; i < 10'000; ++i) seen.insert(random.between<signed char>(-128, 127));
    CHECK(seen.size() == 256);

    using limits = std::numeric_limits<std::int64_t>;
    int positive = 0, large = 0;
    for (int i = 0; i < 1000; ++i) {
        std::int64_t const all = random.between((limits::min)(), (limits::max)());
        positive += all > 0;
        std::int64_t const most = random.between((limits::min)() / 4 * 3, (limits::max)() / 4 * 3);
        large += most > (limits::max)() / 4 || most < (limits::min)() / 4;
        REQUIRE(most >= (limits::min)() / 4 * 3);
        REQUIRE(most <= (limits::max)() / 4 * 3);
    }
    CHECK((positive > 400 && positive < 600));
    CHECK((large > 550 && large < 780));
}

TEST_CASE("chance comes at about its rate, never for 0, always for 1, and draws nothing for 0") {
    random_source random(4);
    int often = 0;
    for (int i = 0; i < 10'000; ++i) often += random.chance(0.1);
    CHECK((often > 850 && often < 1150));
    for (int i = 0; i < 1000; ++i) REQUIRE(random.chance(1));

    random_source same = random;
    CHECK(!random.chance(0));
    CHECK(random() == same());
}

TEST_CASE("the standard library's algorithms take it") {
    std::array<int, 10> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    auto const before = numbers;
    random_source random(5);
    std::shuffle(numbers.begin(), numbers.end(), random);
    CHECK(numbers != before);
    CHECK(std::is_permutation(numbers.begin(), numbers.end(), before.begin()));
}
