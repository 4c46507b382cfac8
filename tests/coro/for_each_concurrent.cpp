#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("for_each_concurrent keeps so many in flight, does each once, and stops at an exception") {
    test::temporary_file file(4096);
    kaio::loop loop(32);
    std::vector<int> elements(100), done;
    std::iota(elements.begin(), elements.end(), 0);
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

    std::size_t bytes = 0;
    kaio::sync_wait(loop, kaio::for_each_concurrent(std::vector<std::int64_t>{0, 64, 128}, limit,
                                                    [&](std::int64_t at) -> kaio::task<> {
                                                        bytes += co_await test::read_some(loop, file, at);
                                                    }));
    CHECK(bytes == 3 * 64);
    kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, [](int) { return std::suspend_never(); }));

    done.clear();
    auto const failing = [&](int i) -> kaio::task<> {
        co_await loop.sleep_for(100us);
        done.push_back(i);
        if (i == 10) throw std::runtime_error("ten");
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, failing)), "ten");
    CHECK(done.size() <= std::min<std::size_t>(11 + limit, 100));
    CHECK(loop.timers() == 0);
}
