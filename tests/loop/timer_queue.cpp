#include "support/catch.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <kaio/loop/detail/timer_queue.hpp>

namespace {

struct node : kaio::detail::operation_core {
    explicit node(int id) : number(id) {}
    int number;
};

} // namespace

TEST_CASE("timers leave the queue by deadline, equal ones in the order of insertion, whatever is removed between") {
    std::mt19937 random(GENERATE(range(1u, 20u)));
    kaio::detail::timer_queue queue;
    std::vector<std::unique_ptr<node>> nodes;
    std::vector<std::pair<std::int64_t, int>> model; // deadline, number
    for (int i = 0; i < 500; ++i) {
        auto const deadline = static_cast<std::int64_t>(random() % 100);
        nodes.push_back(std::make_unique<node>(i));
        queue.insert(*nodes.back(), deadline);
        model.emplace_back(deadline, i);
        if (random() % 3 == 0) {
            auto const at = model.begin() + static_cast<std::ptrdiff_t>(random() % model.size());
            node& victim = *nodes[static_cast<std::size_t>(at->second)];
            REQUIRE(queue.remove(victim));
            REQUIRE_FALSE(queue.remove(victim));
            model.erase(at);
        }
        if (random() % 4 == 0 && !model.empty()) {
            auto const least = std::min_element(model.begin(), model.end());
            REQUIRE(queue.earliest() == least->first);
            REQUIRE(static_cast<node&>(queue.pop()).number == least->second);
            model.erase(least);
        }
        REQUIRE(queue.size() == model.size());
    }
    std::sort(model.begin(), model.end());
    for (auto [deadline, number] : model) {
        REQUIRE(queue.earliest() == deadline);
        REQUIRE(static_cast<node&>(queue.pop()).number == number);
    }
    CHECK(queue.empty());
    CHECK(queue.earliest() == kaio::duration::unlimited);
}
