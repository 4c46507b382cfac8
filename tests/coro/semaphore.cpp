#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <chrono>
#include <coroutine>
#include <csignal>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/with_timeout.hpp>

using namespace std::chrono_literals;

namespace {

test::owned_coroutine acquire(kaio::semaphore& semaphore, std::vector<int>& order, int number,
                              std::size_t permits = 1) {
    co_await semaphore.acquire(permits);
    order.push_back(number);
}

// Keeps them until it is destroyed.
test::owned_coroutine take(kaio::semaphore& semaphore, std::vector<int>& order, int number, std::size_t permits) {
    kaio::semaphore_permits const taken = co_await semaphore.take(permits);
    CHECK(taken.count() == permits);
    order.push_back(number);
    co_await std::suspend_always();
}

} // namespace

TEST_CASE("a semaphore gives its permits, and then coroutines wait for one, first in, first out") {
    kaio::semaphore semaphore(2);
    std::vector<int> order;
    std::vector<test::owned_coroutine> all;
    for (int i = 0; i < 6; ++i) all.push_back(acquire(semaphore, order, i));
    CHECK(order == std::vector<int>{0, 1});
    CHECK(semaphore.available() == 0);
    semaphore.release();
    CHECK(order == std::vector<int>{0, 1, 2});
    semaphore.release(2);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
    semaphore.release(3);
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4, 5});
    CHECK(semaphore.available() == 2);
}

TEST_CASE("try_acquire takes a permit, and none if there is none") {
    kaio::semaphore semaphore(1);
    CHECK(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire());
    semaphore.release();
    CHECK(semaphore.try_acquire());
}

TEST_CASE("a release of nothing resumes nobody") {
    kaio::semaphore semaphore(0);
    std::vector<int> order;
    test::owned_coroutine const waiting = acquire(semaphore, order, 1);
    semaphore.release(0);
    CHECK(order.empty());
    semaphore.release();
    CHECK(order.size() == 1);
}

TEST_CASE("a coroutine that a release resumes gets no permit before those that wait") {
    kaio::semaphore semaphore(0);
    std::vector<int> order;
    bool tried = true;
    auto const barging = [](kaio::semaphore& s, std::vector<int>& out, bool& got) -> test::owned_coroutine {
        co_await s.acquire();
        out.push_back(0);
        got = s.try_acquire(); // a permit is there, and it is the next coroutine's
        CHECK(s.available() == 0);
        co_await s.acquire();
        out.push_back(10);
    };
    test::owned_coroutine const first = barging(semaphore, order, tried);
    test::owned_coroutine const second = acquire(semaphore, order, 1), third = acquire(semaphore, order, 2);
    semaphore.release(4);
    CHECK_FALSE(tried);
    CHECK(order == std::vector<int>{0, 1, 2, 10});
    CHECK(semaphore.available() == 0);
}

TEST_CASE("a million coroutines that pass one permit on do not grow the stack") {
    kaio::semaphore semaphore(0);
    int had = 0;
    auto const pass = [](kaio::semaphore& s, int& count) -> test::free_running {
        co_await s.acquire();
        ++count;
        s.release();
    };
    for (int i = 0; i < 1'000'000; ++i) pass(semaphore, had);
    semaphore.release();
    CHECK(had == 1'000'000);
    CHECK(semaphore.available() == 1);
}

TEST_CASE("two tasks that take turns a million times do not grow the stack") {
    kaio::loop loop(4);
    kaio::semaphore ping(1), pong(0);
    int turns = 0;
    auto const player = [](kaio::semaphore& mine, kaio::semaphore& other, int& count) -> kaio::task<> {
        for (int i = 0; i < 1'000'000; ++i) {
            co_await mine.acquire();
            ++count;
            other.release();
        }
    };
    (void)kaio::sync_wait(loop, kaio::when_all(player(ping, pong, turns), player(pong, ping, turns)));
    CHECK(turns == 2'000'000);
}

TEST_CASE("a coroutine that is destroyed while it waits takes no permit") {
    kaio::semaphore semaphore(0);
    std::vector<int> order;
    std::vector<test::owned_coroutine> waiting;
    for (int i = 0; i < 3; ++i) waiting.push_back(acquire(semaphore, order, i));
    waiting[1].reset();
    semaphore.release(3);
    CHECK(order == std::vector<int>{0, 2});
    CHECK(semaphore.available() == 1);
}

TEST_CASE("a coroutine that is resumed may destroy one that the same release was to resume") {
    kaio::semaphore semaphore(0);
    std::vector<int> order;
    std::vector<test::owned_coroutine> waiting(2);
    auto const killer = [](kaio::semaphore& s, test::owned_coroutine& victim) -> test::owned_coroutine {
        co_await s.acquire();
        victim.reset();
    };
    test::owned_coroutine const first = killer(semaphore, waiting[0]);
    waiting[0] = acquire(semaphore, order, 1);
    waiting[1] = acquire(semaphore, order, 2);
    semaphore.release(2);
    CHECK(order == std::vector<int>{2});
    CHECK(semaphore.available() == 0);
}

TEST_CASE("the last coroutine that is resumed may destroy the semaphore") {
    auto semaphore = std::make_unique<kaio::semaphore>(0);
    std::vector<int> order;
    auto const owner = [](std::unique_ptr<kaio::semaphore>& mine, std::vector<int>& out) -> test::owned_coroutine {
        co_await mine->acquire();
        mine.reset();
        out.push_back(2);
    };
    test::owned_coroutine const first = acquire(*semaphore, order, 1), second = owner(semaphore, order);
    semaphore->release(5);
    CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("an exception of a coroutine that is resumed leaves release, when the others have been resumed") {
    kaio::semaphore semaphore(0);
    std::vector<int> order;
    auto const thrower = [](kaio::semaphore& s) -> test::owned_coroutine {
        co_await s.acquire();
        throw std::runtime_error("resumed");
    };
    test::owned_coroutine const throwing = thrower(semaphore);
    test::owned_coroutine const second = acquire(semaphore, order, 2);
    CHECK_THROWS_WITH(semaphore.release(3), "resumed");
    CHECK(order == std::vector<int>{2});
    CHECK(semaphore.available() == 1);
}

TEST_CASE("a semaphore bounds how many tasks of a loop are at work") {
    kaio::loop loop(4);
    kaio::semaphore semaphore(3);
    int now = 0, most = 0, done = 0;
    auto const work = [&]() -> kaio::task<> {
        co_await semaphore.acquire();
        if (++now > most) most = now;
        co_await loop.sleep_for(1ms);
        --now;
        ++done;
        semaphore.release();
    };
    for (int i = 0; i < 20; ++i) kaio::spawn(loop, work());
    loop.run();
    CHECK(most == 3);
    CHECK(done == 20);
}

TEST_CASE("permits are taken all at once, and one that wants many is not overtaken by those that want few") {
    kaio::semaphore semaphore(3);
    std::vector<int> order;
    test::owned_coroutine const big = acquire(semaphore, order, 1, 5), small = acquire(semaphore, order, 2),
                                nothing = acquire(semaphore, order, 3, 0);
    CHECK(order.empty());
    CHECK_FALSE(semaphore.try_acquire());
    CHECK_FALSE(semaphore.try_acquire(0));
    CHECK(semaphore.available() == 0);
    semaphore.release();
    CHECK(order.empty());
    semaphore.release();
    CHECK(order == std::vector<int>{1});
    semaphore.release();
    CHECK(order == std::vector<int>{1, 2, 3});
    CHECK(semaphore.try_acquire(0));
    CHECK_FALSE(semaphore.try_acquire(1));
    semaphore.release(4);
    CHECK_FALSE(semaphore.try_acquire(5));
    CHECK(semaphore.try_acquire(4));
}

TEST_CASE("when one that wants many is destroyed, those behind it get their turn") {
    kaio::semaphore semaphore(3);
    std::vector<int> order;
    test::owned_coroutine big = acquire(semaphore, order, 1, 5);
    test::owned_coroutine const small = acquire(semaphore, order, 2, 2), next = acquire(semaphore, order, 3, 2);
    big.reset();
    CHECK(order == std::vector<int>{2});
    semaphore.release();
    CHECK(order == std::vector<int>{2, 3});
}

TEST_CASE("when one in the middle is destroyed, nobody gets a turn that is not his") {
    kaio::semaphore semaphore(3);
    std::vector<int> order;
    test::owned_coroutine const first = acquire(semaphore, order, 1, 4);
    test::owned_coroutine middle = acquire(semaphore, order, 2, 4);
    test::owned_coroutine const last = acquire(semaphore, order, 3, 1);
    middle.reset();
    CHECK(order.empty());
    semaphore.release(2);
    CHECK(order == std::vector<int>{1, 3});
}

TEST_CASE("when one that wants many gives up, those behind it get their turn") {
    kaio::loop loop(4);
    kaio::semaphore semaphore(3);
    std::vector<int> order;
    auto const impatient = [&]() -> kaio::task<> {
        bool const got = co_await kaio::with_timeout(loop, semaphore.acquire(5), 2ms);
        order.push_back(got ? 1 : -1);
    };
    auto const impatient_taker = [&]() -> kaio::task<> {
        std::optional<kaio::semaphore_permits> const got = co_await kaio::with_timeout(loop, semaphore.take(4), 4ms);
        order.push_back(got ? 2 : -2);
    };
    auto const patient = [&]() -> kaio::task<> {
        kaio::semaphore_permits const permits = co_await semaphore.take(3);
        order.push_back(3);
    };
    kaio::spawn(loop, impatient());
    kaio::spawn(loop, impatient_taker());
    kaio::spawn(loop, patient());
    CHECK(order.empty());
    loop.run();
    CHECK(order == std::vector<int>{-1, 3, -2}); // the third where the second ends its wait
    CHECK(semaphore.available() == 3);
}

TEST_CASE("who gets its turn because another was destroyed may destroy the semaphore") {
    auto semaphore = std::make_unique<kaio::semaphore>(1);
    std::vector<int> order;
    test::owned_coroutine big = acquire(*semaphore, order, 1, 2);
    auto const owner = [](std::unique_ptr<kaio::semaphore>& mine, std::vector<int>& out) -> test::owned_coroutine {
        co_await mine->acquire();
        mine.reset();
        out.push_back(2);
    };
    test::owned_coroutine const second = owner(semaphore, order);
    big.reset();
    CHECK(order == std::vector<int>{2});
}

TEST_CASE("permits that were taken are returned at the end of the scope, and resume those that wait") {
    kaio::semaphore semaphore(4);
    std::vector<int> order;
    test::owned_coroutine first = take(semaphore, order, 1, 3), second = take(semaphore, order, 2, 4),
                          third = take(semaphore, order, 3, 1);
    CHECK(order == std::vector<int>{1});
    first.reset();
    CHECK(order == std::vector<int>{1, 2});
    second.reset();
    CHECK(order == std::vector<int>{1, 2, 3});
    third.reset();
    CHECK(semaphore.available() == 4);
}

TEST_CASE("permits that were taken are returned after an exception") {
    kaio::loop loop(4);
    kaio::semaphore semaphore(2);
    auto const fails = [&]() -> kaio::task<> {
        kaio::semaphore_permits const taken = co_await semaphore.take(2);
        throw std::runtime_error("after taking");
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, fails()), "after taking");
    CHECK(semaphore.available() == 2);
}

TEST_CASE("permits can be moved, split and released, and are returned once") {
    kaio::semaphore semaphore(10), other(1);
    kaio::semaphore_permits none;
    CHECK_FALSE(none);
    none.release();
    kaio::semaphore_permits six = semaphore.try_take(6);
    CHECK(six);
    CHECK_FALSE(semaphore.try_take(5));
    kaio::semaphore_permits two = six.split(2);
    CHECK(six.count() == 4);
    CHECK(two.count() == 2);
    none = std::move(two);
    CHECK_FALSE(two);
    CHECK(two.count() == 0);
    CHECK(semaphore.available() == 4);
    none = semaphore.try_take(1); // returns the two
    CHECK(semaphore.available() == 5);
    kaio::semaphore_permits& same = none;
    none = std::move(same);
    CHECK(none.count() == 1);
    six.release();
    six.release();
    CHECK_FALSE(six);
    CHECK(semaphore.available() == 9);
    {
        kaio::semaphore_permits const last = std::move(none);
        none = other.try_take();
        CHECK(semaphore.available() == 9);
    }
    CHECK(semaphore.available() == 10);
    none = kaio::semaphore_permits();
    CHECK(other.available() == 1);
}

TEST_CASE("a million coroutines that return what they took do not grow the stack") {
    kaio::semaphore semaphore(0);
    int had = 0;
    auto const pass = [](kaio::semaphore& s, int& count) -> test::free_running {
        kaio::semaphore_permits const taken = co_await s.take(2);
        ++count;
    };
    for (int i = 0; i < 1'000'000; ++i) pass(semaphore, had);
    semaphore.release(3);
    CHECK(had == 1'000'000);
    CHECK(semaphore.available() == 3);
}

TEST_CASE("a semaphore does in any order of calls what a plain model does") {
    struct waiter {
        std::size_t number;
        std::size_t permits;
    };
    for (unsigned seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        std::size_t const most = seed % 3 == 0 ? 1 : 4; // permits that one wants
        std::size_t model_permits = random() % 4;
        kaio::semaphore semaphore(model_permits);
        std::deque<waiter> model_queue;
        std::vector<int> order, model_order;
        std::vector<test::owned_coroutine> all(200);
        auto const give_turns = [&] {
            for (; !model_queue.empty() && model_queue.front().permits <= model_permits; model_queue.pop_front()) {
                model_permits -= model_queue.front().permits;
                model_order.push_back(static_cast<int>(model_queue.front().number));
            }
        };
        for (std::size_t i = 0; i < all.size(); ++i) {
            std::size_t const wanted = most == 1 ? 1 : random() % (most + 1);
            switch (random() % 6) {
            case 0:
            case 1:
            case 2:
                all[i] = acquire(semaphore, order, static_cast<int>(i), wanted);
                model_queue.push_back({i, wanted});
                break;
            case 3: {
                bool const there = model_queue.empty() && model_permits >= wanted;
                CHECK(semaphore.try_acquire(wanted) == there);
                if (there) model_permits -= wanted;
                break;
            }
            case 4: {
                std::size_t const count = random() % 4;
                model_permits += count;
                semaphore.release(count);
                break;
            }
            default:
                if (model_queue.empty()) break;
                std::size_t const place = random() % model_queue.size();
                all[model_queue[place].number].reset();
                model_queue.erase(model_queue.begin() + static_cast<std::ptrdiff_t>(place));
            }
            give_turns();
            REQUIRE(order == model_order);
            REQUIRE(semaphore.available() == (model_queue.empty() ? model_permits : 0));
        }
        semaphore.release(1000); // or those that are destroyed give turns to those that are being destroyed
    }
}

TEST_CASE("destroying a semaphore while a coroutine waits for it ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              auto semaphore = std::make_unique<kaio::semaphore>(0);
              std::vector<int> order;
              test::owned_coroutine const waiting = acquire(*semaphore, order, 1);
              semaphore.reset();
              return 0;
          }) == 1000 + SIGABRT);
}
