// The cost of making, awaiting and finishing tasks, and of requests that they await on a kernel that does nothing.
#include <support/catch.hpp>

#include <utility>
#include <vector>

#include <kaio/kaio.hpp>

#include "instant_kernel.hpp"

namespace {

constexpr unsigned many = 32;
using loop = kaio::basic_loop<micro::instant_kernel>;

kaio::task<unsigned> child(unsigned n) { co_return n; }
[[gnu::noinline]] unsigned called(unsigned n) { return n; }

kaio::task<unsigned> one_after_the_other() {
    unsigned sum = 0;
    for (unsigned i = 0; i < many; ++i) sum += co_await child(i);
    co_return sum;
}

kaio::task<std::size_t> reading(loop& l, unsigned times) {
    static char byte[1];
    std::size_t sum = 0;
    for (unsigned i = 0; i < times; ++i) sum += (co_await l.submit(kaio::read(0, byte, 0))).bytes();
    co_return sum;
}

kaio::task<std::size_t> at_once(loop& l) {
    std::vector<kaio::task<std::size_t>> tasks;
    for (unsigned i = 0; i < many; ++i) tasks.push_back(reading(l, 1));
    std::size_t sum = 0;
    for (std::size_t const bytes : co_await kaio::when_all(std::move(tasks))) sum += bytes;
    co_return sum;
}

} // namespace

TEST_CASE("making and finishing tasks") {
    loop l(many);
    BENCHMARK("1 task in sync_wait") { return kaio::sync_wait(l, child(1)); };
    BENCHMARK("32 tasks, awaited in turn") { return kaio::sync_wait(l, one_after_the_other()); };
    BENCHMARK("32 function calls") {
        unsigned sum = 0;
        for (unsigned i = 0; i < many; ++i) sum += called(i);
        return sum;
    };
    CHECK(kaio::sync_wait(l, one_after_the_other()) == many * (many - 1) / 2); // the timed calls did run
}

TEST_CASE("requests in tasks") {
    loop l(many);
    BENCHMARK("32 requests, 1 task, in turn") { return kaio::sync_wait(l, reading(l, many)); };
    BENCHMARK("32 requests, 32 tasks, at once") { return kaio::sync_wait(l, at_once(l)); };
    CHECK(kaio::sync_wait(l, reading(l, many)) == many);
    CHECK(kaio::sync_wait(l, at_once(l)) == many);
}
