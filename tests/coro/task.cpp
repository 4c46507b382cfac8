#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

struct counted {
    explicit counted(int& alive) : alive_(&alive) { ++*alive_; }
    counted(counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
    ~counted() { --*alive_; }
    int* alive_;
};

// Sets the flag when it runs.
kaio::task<> set(bool& flag) {
    flag = true;
    co_return;
}

} // namespace

TEST_CASE("a task returns values, references, move-only objects and nothing, or throws") {
    kaio::loop loop(4);
    int i = 1;
    CHECK(kaio::sync_wait(loop, test::value(7)) == 7);
    CHECK(&kaio::sync_wait(loop, test::reference(i)) == &i);
    CHECK(*kaio::sync_wait(loop, test::pointer(5)) == 5);
    kaio::sync_wait(loop, test::no_value());
    CHECK_THROWS_WITH(kaio::sync_wait(loop, test::thrower("from a task")), "from a task");
}

TEST_CASE("a task that is never awaited never runs") {
    bool ran = false;
    {
        kaio::task<> unused = set(ran);
    }
    CHECK_FALSE(ran);
}

TEST_CASE("a task can be moved and assigned, which destroys what was there, and is no task afterwards") {
    kaio::loop loop(4);
    bool first_ran = false, second_ran = false;
    kaio::task<> first = set(first_ran), second = set(second_ran);
    second = std::move(first);
    CHECK_FALSE(first);
    REQUIRE(second);
    kaio::task<> third = std::move(second);
    CHECK_FALSE(second);
    kaio::sync_wait(loop, std::move(third));
    CHECK(first_ran);
    CHECK_FALSE(second_ran);
}

TEST_CASE("a million awaits of tasks and of requests that complete at once do not grow the stack") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    auto const tasks = [](int n) -> kaio::task<std::int64_t> {
        std::int64_t sum = 0;
        for (int i = 0; i < n; ++i) sum += co_await test::value(i);
        co_return sum;
    };
    CHECK(kaio::sync_wait(loop, tasks(1'000'000)) == 499'999'500'000);

    auto const reads = [](kaio::loop& l, const test::temporary_file& f, int n) -> kaio::task<int> {
        std::vector<char> buffer(8);
        int ok = 0;
        for (int i = 0; i < n; ++i) ok += (co_await l.submit(kaio::read(f, buffer, 0))).bytes() == 8;
        co_return ok;
    };
    CHECK(kaio::sync_wait(loop, reads(loop, file, 1'000'000)) == 1'000'000);
}

TEST_CASE("a value and an exception go up through a thousand nested tasks") {
    kaio::loop loop(4);
    struct deep {
        static kaio::task<int> down(kaio::loop& l, int n, bool fail) {
            if (n == 0) {
                co_await l.sleep_for(1ms);
                if (fail) throw std::runtime_error("deep");
                co_return 0;
            }
            int const below = co_await down(l, n - 1, fail);
            co_return below + 1;
        }
    };
    CHECK(kaio::sync_wait(loop, deep::down(loop, 1000, false)) == 1000);
    CHECK_THROWS_WITH(kaio::sync_wait(loop, deep::down(loop, 1000, true)), "deep");
}

TEST_CASE("what a task holds is destroyed, whether it returns, throws or never starts") {
    kaio::loop loop(4);
    int alive = 0;
    auto const holder = [](counted held, bool fail) -> kaio::task<counted> {
        if (fail) throw std::runtime_error("no");
        co_return std::move(held);
    };
    {
        counted const result = kaio::sync_wait(loop, holder(counted(alive), false));
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
    CHECK_THROWS(kaio::sync_wait(loop, holder(counted(alive), true)));
    CHECK(alive == 0);
    {
        kaio::task<counted> const never = holder(counted(alive), false);
    }
    CHECK(alive == 0);
}

TEST_CASE("awaiting a task that was moved from ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::loop loop(4);
              kaio::task<int> one = test::value(1), other = std::move(one);
              return kaio::sync_wait(loop, std::move(one));
          }) == 1000 + SIGABRT);
}
