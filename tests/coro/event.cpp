#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <csignal>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <unistd.h>

#include <kaio/coro/event.hpp>

namespace {

test::owned_coroutine wait(kaio::event& event, std::vector<int>& order, int number) {
    co_await event;
    order.push_back(number);
}

std::vector<int> numbers(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

} // namespace

TEST_CASE("coroutines wait until the event is set, and go on in the order in which they began to wait") {
    kaio::event event;
    std::vector<int> order;
    std::vector<test::owned_coroutine> waiting;
    for (int i = 0; i < 1000; ++i) waiting.push_back(wait(event, order, i));
    CHECK(order.empty());
    CHECK_FALSE(event.is_set());
    event.set();
    CHECK(event.is_set());
    CHECK(order == numbers(1000));
}

TEST_CASE("nobody waits for an event that is set, until it is reset") {
    kaio::event event;
    event.set();
    std::vector<int> order;
    test::owned_coroutine const first = wait(event, order, 1);
    CHECK(order.size() == 1);
    event.reset();
    CHECK_FALSE(event.is_set());
    test::owned_coroutine const second = wait(event, order, 2);
    CHECK(order.size() == 1);
    event.set();
    CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("a set resumes all that wait, although the first of them resets the event and waits again") {
    kaio::event event;
    std::vector<int> order;
    auto const eager = [](kaio::event& e, std::vector<int>& out) -> test::owned_coroutine {
        for (int i = 0; i < 3; ++i) {
            co_await e;
            e.reset();
            out.push_back(100 + i);
        }
    };
    test::owned_coroutine const first = eager(event, order);
    test::owned_coroutine const second = wait(event, order, 1);
    event.set();
    CHECK(order == std::vector<int>{100, 1});
    event.set();
    event.set();
    CHECK(order == std::vector<int>{100, 1, 101, 102});
}

TEST_CASE("a million coroutines, each of which sets the event when it is resumed, do not grow the stack") {
    kaio::event event;
    int resumed = 0;
    auto const chain = [](kaio::event& e, int& count) -> test::free_running {
        co_await e;
        ++count;
        e.reset();
        e.set();
    };
    for (int i = 0; i < 1'000'000; ++i) chain(event, resumed);
    event.set();
    CHECK(resumed == 1'000'000);
}

TEST_CASE("two coroutines that wake each other a million times through events do not grow the stack") {
    kaio::event ping, pong;
    int turns = 0;
    auto const player = [](kaio::event& mine, kaio::event& other, int& count) -> test::free_running {
        while (count < 1'000'000) {
            co_await mine;
            mine.reset();
            ++count;
            other.set();
        }
        mine.set();
        other.set();
    };
    player(ping, pong, turns);
    player(pong, ping, turns);
    ping.set();
    CHECK(turns >= 1'000'000);
}

TEST_CASE("a coroutine that is destroyed while it waits is not resumed, and the others are") {
    kaio::event event;
    std::vector<int> order;
    std::vector<test::owned_coroutine> waiting;
    for (int i = 0; i < 5; ++i) waiting.push_back(wait(event, order, i));
    waiting[0].reset();
    waiting[2].reset();
    waiting[4].reset();
    event.set();
    CHECK(order == std::vector<int>{1, 3});
}

TEST_CASE("a coroutine that is resumed may destroy others that the same set was to resume") {
    kaio::event event;
    std::vector<int> order;
    std::vector<test::owned_coroutine> waiting(3);
    auto const killer = [](kaio::event& e, std::vector<test::owned_coroutine>& victims) -> test::owned_coroutine {
        co_await e;
        victims[0].reset();
        victims[2].reset();
    };
    waiting[0] = wait(event, order, 0);
    event.reset();
    test::owned_coroutine const first = killer(event, waiting);
    waiting[1] = wait(event, order, 1);
    waiting[2] = wait(event, order, 2);
    event.set();
    CHECK(order == std::vector<int>{0, 1});
}

TEST_CASE("a coroutine that is resumed may destroy the event, and the others go on") {
    auto event = std::make_unique<kaio::event>();
    std::vector<int> order;
    auto const owner = [](std::unique_ptr<kaio::event>& mine, std::vector<int>& out) -> test::owned_coroutine {
        co_await *mine;
        mine.reset();
        out.push_back(100);
    };
    test::owned_coroutine const first = wait(*event, order, 1), second = owner(event, order);
    test::owned_coroutine const third = wait(*event, order, 3), fourth = wait(*event, order, 4);
    event->set();
    CHECK_FALSE(event);
    CHECK(order == std::vector<int>{1, 100, 3, 4});
}

TEST_CASE("the first exception of coroutines that are resumed leaves set, when all have been resumed") {
    kaio::event event;
    int resumed = 0;
    auto const thrower = [](kaio::event& e, int& count, const char* text) -> test::owned_coroutine {
        co_await e;
        ++count;
        if (text) throw std::runtime_error(text);
    };
    test::owned_coroutine const a = thrower(event, resumed, nullptr), b = thrower(event, resumed, "first");
    test::owned_coroutine const c = thrower(event, resumed, "second"), d = thrower(event, resumed, nullptr);
    CHECK_THROWS_WITH(event.set(), "first");
    CHECK(resumed == 4);
    event.reset();
    test::owned_coroutine const e = thrower(event, resumed, nullptr);
    event.set();
    CHECK(resumed == 5);
}

TEST_CASE("tasks wait for an event that a handler of the loop sets") {
    kaio::loop loop(4);
    kaio::event event;
    int resumed = 0;
    auto const work = [](kaio::event& e, int& count) -> kaio::task<> {
        co_await e;
        ++count;
    };
    for (int i = 0; i < 10; ++i) kaio::spawn(loop, work(event, resumed));
    loop.submit(kaio::after(kaio::duration::zero()), [&](kaio::io_result) { event.set(); });
    loop.run();
    CHECK(resumed == 10);
}

TEST_CASE("destroying an event while a coroutine waits for it ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              auto event = std::make_unique<kaio::event>();
              std::vector<int> order;
              test::owned_coroutine const waiting = wait(*event, order, 1);
              event.reset();
              return 0;
          }) == 1000 + SIGABRT);
}
