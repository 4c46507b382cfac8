#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include <unistd.h>

#include <kaio/coro/semaphore.hpp>

using namespace std::chrono_literals;

namespace {

test::owned_coroutine acquire(kaio::semaphore& semaphore, std::vector<int>& order, int number) {
    co_await semaphore.acquire();
    order.push_back(number);
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

TEST_CASE("a semaphore does in any order of calls what a plain model does") {
    struct waiter {
        test::owned_coroutine coroutine{};
        bool waits = true;
    };
    for (unsigned seed = 0; seed < 200; ++seed) {
        std::mt19937 random(seed);
        std::size_t model_permits = random() % 4;
        kaio::semaphore semaphore(model_permits);
        std::deque<std::size_t> model_queue;
        std::vector<int> order, model_order;
        std::vector<waiter> all(200);
        for (std::size_t i = 0; i < all.size(); ++i) {
            switch (random() % 6) {
            case 0:
            case 1:
            case 2:
                all[i].coroutine = acquire(semaphore, order, static_cast<int>(i));
                if (model_permits != 0)
                    --model_permits, model_order.push_back(static_cast<int>(i));
                else
                    model_queue.push_back(i);
                break;
            case 3:
                CHECK(semaphore.try_acquire() == (model_permits != 0));
                if (model_permits != 0) --model_permits;
                break;
            case 4: {
                std::size_t const count = random() % 4;
                semaphore.release(count);
                model_permits += count;
                for (; model_permits != 0 && !model_queue.empty(); --model_permits) {
                    model_order.push_back(static_cast<int>(model_queue.front()));
                    model_queue.pop_front();
                }
                break;
            }
            default:
                if (model_queue.empty()) break;
                std::size_t const place = random() % model_queue.size();
                all[model_queue[place]].coroutine.reset();
                model_queue.erase(model_queue.begin() + static_cast<std::ptrdiff_t>(place));
            }
            REQUIRE(order == model_order);
            REQUIRE(semaphore.available() == model_permits);
        }
        all.clear();
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
