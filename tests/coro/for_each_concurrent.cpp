#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

} // namespace

TEST_CASE("for_each_concurrent does every element once, and as many at once as the limit says") {
    kaio::loop loop(32);
    std::vector<int> const elements = numbers(100);
    std::vector<int> done;
    std::size_t const limit = GENERATE(1u, 3u, 16u, 1000u);
    std::size_t now = 0, most = 0;
    auto const one = [&](int i) -> kaio::task<> {
        most = std::max(most, ++now);
        co_await loop.sleep_for(std::chrono::microseconds(i * 37 % 100));
        done.push_back(i);
        --now;
    };
    kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, one));
    CHECK(most == std::min<std::size_t>(limit, 100));
    std::sort(done.begin(), done.end());
    CHECK(done == elements);
}

TEST_CASE("for_each_concurrent begins the elements in their order") {
    kaio::loop loop(4);
    std::vector<int> const elements = numbers(100);
    std::vector<int> begun;
    auto const one = [&](int i) -> kaio::task<> {
        begun.push_back(i);
        co_await loop.sleep_for(std::chrono::microseconds(i * 37 % 100));
    };
    kaio::sync_wait(loop, kaio::for_each_concurrent(elements, 8, one));
    CHECK(begun == elements);
}

TEST_CASE("a limit of 0 counts as 1") {
    kaio::loop loop(4);
    int sum = 0;
    auto const one = [&](int i) -> kaio::task<> {
        sum += i;
        co_return;
    };
    kaio::sync_wait(loop, kaio::for_each_concurrent(numbers(10), 0, one));
    CHECK(sum == 45);
}

TEST_CASE("for_each_concurrent keeps a range that is an rvalue") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    std::size_t bytes = 0;
    auto const one = [&](std::int64_t offset) -> kaio::task<> {
        bytes += co_await test::read_some(loop, file, offset);
    };
    kaio::task<> all = kaio::for_each_concurrent(std::vector<std::int64_t>{0, 64, 128}, 2, one);
    kaio::sync_wait(loop, std::move(all));
    CHECK(bytes == 3 * 64);
}

TEST_CASE("for_each_concurrent takes functions that return anything that can be awaited") {
    kaio::loop loop(4);
    std::vector<int> const elements = numbers(100);
    int calls = 0;
    auto const one = [&](int) {
        ++calls;
        return std::suspend_never();
    };
    kaio::sync_wait(loop, kaio::for_each_concurrent(elements, 3, one));
    CHECK(calls == 100);
}

TEST_CASE("after an exception no element begins, and it is thrown when those that did begin have finished") {
    kaio::loop loop(32);
    std::vector<int> const elements = numbers(100);
    std::size_t const limit = GENERATE(1u, 3u, 16u, 1000u);
    std::vector<int> done;
    auto const one = [&](int i) -> kaio::task<> {
        co_await loop.sleep_for(100us);
        done.push_back(i);
        if (i == 10) throw std::runtime_error("ten");
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, one)), "ten");
    CHECK(done.size() <= std::min<std::size_t>(11 + limit, 100));
    CHECK(loop.timers() == 0);
}
