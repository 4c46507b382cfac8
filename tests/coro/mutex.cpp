#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/coro/mutex.hpp>

using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<kaio::mutex_guard> &&
              std::is_nothrow_move_constructible_v<kaio::mutex_guard>);
static_assert(!std::is_move_constructible_v<kaio::mutex>);

namespace {

test::owned_coroutine lock_and_leave(kaio::mutex& mutex, std::vector<int>& order, int number) {
    auto const held = co_await mutex.lock();
    CHECK(mutex.is_locked());
    order.push_back(number);
}

} // namespace

TEST_CASE("one coroutine at a time has the mutex, and the others get it first in, first out") {
    kaio::loop loop(4);
    kaio::mutex mutex;
    int inside = 0;
    std::vector<int> order;
    auto const work = [&](int number) -> kaio::task<> {
        auto const held = co_await mutex.lock();
        CHECK(++inside == 1);
        order.push_back(number);
        co_await loop.sleep_for(100us);
        CHECK(--inside == 0);
    };
    for (int i = 0; i < 5; ++i) kaio::spawn(loop, work(i));
    CHECK(mutex.is_locked());
    loop.run();
    CHECK(order == std::vector<int>{0, 1, 2, 3, 4});
    CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("try_lock returns a guard without a mutex while another has it") {
    kaio::mutex mutex;
    kaio::mutex_guard first = mutex.try_lock();
    CHECK(first);
    CHECK_FALSE(mutex.try_lock());
    CHECK(mutex.is_locked());
    first.unlock();
    CHECK_FALSE(first);
    first.unlock();
    CHECK(mutex.try_lock());
    CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("a guard can be moved, and a guard that is assigned to unlocks what it had") {
    kaio::mutex one, two;
    kaio::mutex_guard first = one.try_lock(), second = two.try_lock();
    kaio::mutex_guard third = std::move(first);
    CHECK_FALSE(first);
    CHECK(one.is_locked());
    third = std::move(second);
    CHECK_FALSE(one.is_locked());
    CHECK(two.is_locked());
    auto& same = third;
    third = std::move(same);
    CHECK(two.is_locked());
    third = kaio::mutex_guard();
    CHECK_FALSE(two.is_locked());
}

TEST_CASE("a coroutine that unlocks and locks again gets behind those that wait") {
    kaio::mutex mutex;
    std::vector<int> order;
    auto const greedy = [](kaio::mutex& m, std::vector<int>& out) -> test::owned_coroutine {
        for (int i = 0; i < 3; ++i) {
            auto held = co_await m.lock();
            out.push_back(100 + i);
            held.unlock();
            CHECK(bool(m.try_lock()) == (out.size() >= 4)); // b and c wait until then
        }
    };
    kaio::mutex_guard first = mutex.try_lock();
    test::owned_coroutine const a = greedy(mutex, order);
    test::owned_coroutine const b = lock_and_leave(mutex, order, 1), c = lock_and_leave(mutex, order, 2);
    first.unlock();
    CHECK(order == std::vector<int>{100, 1, 2, 101, 102});
    CHECK(a.finished());
}

TEST_CASE("a million coroutines that pass a mutex on do not grow the stack") {
    kaio::mutex mutex;
    int had = 0;
    auto const pass = [](kaio::mutex& m, int& count) -> test::free_running {
        auto const held = co_await m.lock();
        ++count;
    };
    kaio::mutex_guard first = mutex.try_lock();
    for (int i = 0; i < 1'000'000; ++i) pass(mutex, had);
    CHECK(had == 0);
    first.unlock();
    CHECK(had == 1'000'000);
    CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("a coroutine that is destroyed while it waits never has the mutex, and one that has it gives it on") {
    kaio::mutex mutex;
    std::vector<int> order;
    auto const holder = [](kaio::mutex& m) -> test::owned_coroutine {
        auto const held = co_await m.lock();
        co_await std::suspend_always();
    };
    test::owned_coroutine first = holder(mutex), second = lock_and_leave(mutex, order, 2);
    test::owned_coroutine const third = lock_and_leave(mutex, order, 3);
    second.reset();
    CHECK(order.empty());
    first.reset();
    CHECK(order == std::vector<int>{3});
    CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("the last coroutine that had the mutex may destroy it") {
    auto mutex = std::make_unique<kaio::mutex>();
    std::vector<int> order;
    auto const owner = [](std::unique_ptr<kaio::mutex>& mine, std::vector<int>& out) -> test::owned_coroutine {
        auto held = co_await mine->lock();
        held.unlock();
        mine.reset();
        out.push_back(2);
    };
    kaio::mutex_guard first = mutex->try_lock();
    test::owned_coroutine const second = lock_and_leave(*mutex, order, 1), third = owner(mutex, order);
    first.unlock();
    CHECK(order == std::vector<int>{1, 2});
    CHECK_FALSE(mutex);
}

TEST_CASE("an exception unlocks the mutex") {
    kaio::loop loop(4);
    kaio::mutex mutex;
    auto const work = [](kaio::mutex& m) -> kaio::task<> {
        auto const held = co_await m.lock();
        throw std::runtime_error("while locked");
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, work(mutex)), "while locked");
    CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("what a coroutine throws when unlock resumes it leaves unlock") {
    kaio::mutex mutex;
    auto const thrower = [](kaio::mutex& m) -> test::owned_coroutine {
        auto const held = co_await m.lock();
        throw std::runtime_error("resumed");
    };
    kaio::mutex_guard first = mutex.try_lock();
    test::owned_coroutine const throwing = thrower(mutex);
    CHECK_THROWS_WITH(first.unlock(), "resumed");
    CHECK_FALSE(mutex.is_locked());
}

TEST_CASE("destroying a mutex that is locked ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              auto mutex = std::make_unique<kaio::mutex>();
              kaio::mutex_guard const held = mutex->try_lock();
              mutex.reset();
              return 0;
          }) == 1000 + SIGABRT);
}
