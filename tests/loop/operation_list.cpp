#include "support/catch.hpp"

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include <kaio/loop/detail/operation_list.hpp>

namespace {

struct numbered : kaio::detail::operation_core {
    explicit numbered(int n) : number(n) {}
    int number;
};

} // namespace

TEST_CASE("a list keeps its order whatever is taken out of it, from either end and from between") {
    std::mt19937 random(1);
    std::deque<numbered> all;
    for (int i = 0; i < 20; ++i) all.emplace_back(i);
    kaio::detail::operation_list list;
    std::vector<int> model;
    auto const place = [&](int number) { return std::find(model.begin(), model.end(), number); };
    for (int step = 0; step < 20'000; ++step) {
        auto& chosen = all[random() % all.size()];
        bool const there = place(chosen.number) != model.end();
        if (random() % 4 == 0 && !model.empty()) {
            auto& first = static_cast<numbered&>(list.pop());
            REQUIRE(first.number == model.front());
            model.erase(model.begin());
        } else if (random() % 2 == 0 || !there) {
            if (there) continue;
            list.push(chosen);
            model.push_back(chosen.number);
        } else {
            REQUIRE(list.remove(chosen));
            REQUIRE_FALSE(list.remove(chosen));
            model.erase(place(chosen.number));
        }
        REQUIRE(list.size() == model.size());
        REQUIRE(list.empty() == model.empty());
    }
    while (!list.empty()) {
        REQUIRE(static_cast<numbered&>(list.pop()).number == model.front());
        model.erase(model.begin());
    }
    CHECK(model.empty());
}

TEST_CASE("taking operations out in the order in which they came is no search") {
    constexpr int count = 300'000; // a search for each would last minutes, and the test is ended before
    std::deque<numbered> all;
    kaio::detail::operation_list list;
    for (int i = 0; i < count; ++i) list.push(all.emplace_back(i));
    bool found = true;
    for (numbered& each : all) found = list.remove(each) && found;
    CHECK(found);
    CHECK(list.empty());
}
