#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include <unistd.h>

#include <kaio/coro/channel.hpp>
#include <kaio/coro/event.hpp>
#include <kaio/coro/task_group.hpp>
#include <kaio/coro/yield.hpp>

using namespace std::chrono_literals;

namespace {

kaio::task<> finish_after(kaio::loop& loop, kaio::duration delay, int& finished, const char* text = nullptr) {
    co_await loop.sleep_for(delay);
    ++finished;
    if (text) throw std::runtime_error(text);
}

kaio::task<> at_once(int& finished) {
    ++finished;
    co_return;
}

kaio::task<> wait_for(kaio::event& event, int& finished) {
    co_await event;
    ++finished;
}

} // namespace

TEST_CASE("a wait returns when all tasks of a group have finished, and the group can be used again") {
    kaio::loop loop(4);
    int finished = 0;
    auto const program = [](kaio::loop& l, int& count) -> kaio::task<> {
        kaio::task_group group(l);
        co_await group.wait(); // for none
        for (int i = 0; i < 10; ++i) group.spawn(finish_after(l, std::chrono::milliseconds(i % 3), count));
        CHECK(group.size() == 10);
        co_await group.wait();
        CHECK(count == 10);
        CHECK(group.size() == 0);
        group.spawn(at_once(count));
        CHECK(count == 11);
        group.spawn(finish_after(l, 1ms, count));
        co_await group.wait();
    };
    kaio::sync_wait(loop, program(loop, finished));
    CHECK(finished == 12);
}

TEST_CASE("at most as many tasks of a group run as the limit says, and they begin in order") {
    for (std::size_t const limit : {0u, 1u, 3u, 100u}) {
        kaio::loop loop(4);
        std::size_t now = 0, most = 0;
        std::vector<int> order;
        auto const work = [&](int number) -> kaio::task<> {
            order.push_back(number);
            if (++now > most) most = now;
            co_await loop.sleep_for(std::chrono::microseconds(number * 37 % 100));
            --now;
        };
        auto const program = [&]() -> kaio::task<> {
            kaio::task_group group(loop, limit);
            for (int i = 0; i < 20; ++i) group.spawn(work(i));
            co_await group.wait();
        };
        kaio::sync_wait(loop, program());
        CHECK(most == (limit == 0 ? 1 : limit == 100 ? 20 : limit));
        std::vector<int> expected;
        for (int i = 0; i < 20; ++i) expected.push_back(i);
        CHECK(order == expected);
    }
}

TEST_CASE("the first exception leaves the wait when all tasks have finished, and is then forgotten") {
    kaio::loop loop(4);
    int finished = 0;
    auto const program = [](kaio::loop& l, int& count) -> kaio::task<> {
        kaio::task_group group(l, 2);
        group.spawn(finish_after(l, 4ms, count));
        group.spawn(finish_after(l, 1ms, count, "first"));
        group.spawn(finish_after(l, 1ms, count, "second"));
        group.spawn(finish_after(l, 5ms, count));
        bool thrown = false;
        try {
            co_await group.wait();
        } catch (const std::runtime_error& error) {
            thrown = error.what() == std::string("first");
        }
        CHECK(thrown);
        CHECK(count == 4);
        co_await group.wait();
        group.spawn(finish_after(l, 1ms, count));
        co_await group.wait();
    };
    kaio::sync_wait(loop, program(loop, finished));
    CHECK(finished == 5);
}

TEST_CASE("a task may spawn others in its group while a coroutine waits for it") {
    kaio::loop loop(4);
    int finished = 0;
    struct tree {
        static kaio::task<> grow(kaio::loop& l, kaio::task_group<kaio::loop>& group, int depth, int& count) {
            co_await kaio::yield(l);
            if (depth > 0)
                for (int i = 0; i < 2; ++i) group.spawn(grow(l, group, depth - 1, count));
            ++count;
        }
    };
    auto const program = [&]() -> kaio::task<> {
        kaio::task_group group(loop, 5);
        group.spawn(tree::grow(loop, group, 9, finished));
        co_await group.wait();
    };
    kaio::sync_wait(loop, program());
    CHECK(finished == 1023);
}

TEST_CASE("run waits for the tasks of a group") {
    kaio::loop loop(4);
    int finished = 0;
    kaio::task_group group(loop);
    for (int i = 0; i < 3; ++i) group.spawn(finish_after(loop, 1ms, finished));
    group.spawn(test::value(3)); // what it returns is dropped
    loop.run();
    CHECK(finished == 3);
    CHECK(group.size() == 0);
}

TEST_CASE("a million tasks that finish at once do not grow the stack, and one by one neither") {
    kaio::loop loop(4);
    int finished = 0;
    auto const program = [](kaio::loop& l, int& count) -> kaio::task<> {
        kaio::task_group group(l, 1);
        kaio::event event;
        group.spawn(wait_for(event, count)); // the others wait for their turn
        for (int i = 0; i < 1'000'000; ++i) group.spawn(at_once(count));
        CHECK(count == 0);
        event.set();
        CHECK(count == 1'000'001);
        co_await group.wait();
        for (int i = 0; i < 1'000'000; ++i) {
            group.spawn(at_once(count));
            co_await group.wait();
        }
    };
    kaio::sync_wait(loop, program(loop, finished));
    CHECK(finished == 2'000'001);
}

TEST_CASE("a group that an exception destroys waits for its tasks, so what they use stays until then") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    int finished = 0;
    auto const program = [](kaio::loop& l, const test::temporary_file& f, int& count) -> kaio::task<> {
        std::vector<char> buffer(64);
        auto const reader = [&]() -> kaio::task<> {
            co_await l.sleep_for(2ms);
            kaio::io_result const r = co_await l.submit(kaio::read(f, buffer, 0));
            count += r.bytes() == 64;
        };
        kaio::task_group group(l, 2);
        for (int i = 0; i < 5; ++i) group.spawn(reader());
        throw std::runtime_error("before the wait");
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, program(loop, file, finished)), "before the wait");
    CHECK(finished == 5);
}

TEST_CASE("outside of coroutines a group waits when it is destroyed, and what its tasks throw is dropped") {
    kaio::loop loop(4);
    int finished = 0;
    {
        kaio::task_group group(loop);
        group.spawn(finish_after(loop, 2ms, finished));
        group.spawn(finish_after(loop, 1ms, finished, "dropped"));
    }
    CHECK(finished == 2);
    loop.run();
}

TEST_CASE("what a handler throws while a group is destroyed leaves run later") {
    kaio::loop loop(4);
    int finished = 0;
    {
        kaio::task_group group(loop);
        loop.submit(kaio::after(1ms), [](kaio::io_result) { throw std::runtime_error("handler"); });
        group.spawn(finish_after(loop, 3ms, finished));
    }
    CHECK(finished == 1);
    CHECK_THROWS_WITH(loop.run(), "handler");
}

TEST_CASE("the coroutine that waits may destroy the group at once") {
    kaio::loop loop(4);
    int finished = 0;
    auto group = std::make_unique<kaio::task_group<kaio::loop>>(loop, 1);
    auto const waiter = [](std::unique_ptr<kaio::task_group<kaio::loop>>& mine) -> kaio::task<> {
        co_await mine->wait();
        mine.reset();
    };
    for (int i = 0; i < 3; ++i) group->spawn(finish_after(loop, 1ms, finished));
    kaio::spawn(loop, waiter(group));
    loop.run();
    CHECK(finished == 3);
    CHECK_FALSE(group);
}

TEST_CASE("a coroutine that is destroyed while it waits for a group is not resumed") {
    kaio::loop loop(4);
    int finished = 0, resumed = 0;
    kaio::task_group group(loop);
    auto const waiter = [](kaio::task_group<kaio::loop>& g, int& count) -> test::owned_coroutine {
        co_await g.wait();
        ++count;
    };
    group.spawn(finish_after(loop, 1ms, finished));
    test::owned_coroutine first = waiter(group, resumed);
    first.reset();
    test::owned_coroutine const second = waiter(group, resumed);
    loop.run();
    CHECK(finished == 1);
    CHECK(resumed == 1);
}

TEST_CASE("destroying a loop finishes the tasks of a group that was declared before it") {
    int finished = 0;
    std::optional<kaio::task_group<kaio::loop>> group;
    {
        kaio::loop loop(4);
        group.emplace(loop, 1);
        group->spawn(finish_after(loop, 1h, finished));
        group->spawn(finish_after(loop, 1h, finished));
        loop.poll();
    }
    CHECK(finished == 2);
    CHECK(group->size() == 0);
}

TEST_CASE("a forked child may destroy a group whose tasks are its parent's") {
    kaio::loop loop(4);
    int finished = 0;
    kaio::task_group group(loop);
    group.spawn(finish_after(loop, 1ms, finished));
    CHECK(test::in_child([&] {
              group.~task_group();
              return finished;
          }) == 0);
    loop.run();
    CHECK(finished == 1);
}

TEST_CASE("tasks of random length in groups with random limits all finish, and never more of them run at once") {
    for (unsigned seed = 0; seed < 30; ++seed) {
        std::mt19937 random(seed);
        kaio::loop loop(4);
        std::size_t const limit = 1 + random() % 6;
        std::size_t now = 0;
        int begun = 0, finished = 0, thrown = 0;
        bool too_many = false;
        auto const work = [&](unsigned turns, bool fails) -> kaio::task<> {
            ++begun;
            too_many |= ++now > limit;
            for (unsigned i = 0; i < turns; ++i) co_await kaio::yield(loop);
            --now;
            ++finished;
            if (fails) throw std::runtime_error("some");
        };
        auto const program = [&]() -> kaio::task<> {
            kaio::task_group group(loop, limit);
            for (int round = 0; round < 10; ++round) {
                bool fails = false;
                for (unsigned i = random() % 20; i != 0; --i) {
                    bool const this_one = random() % 10 == 0;
                    fails |= this_one;
                    group.spawn(work(random() % 5, this_one));
                    if (random() % 4 == 0) co_await kaio::yield(loop);
                }
                bool caught = false;
                try {
                    co_await group.wait();
                } catch (const std::runtime_error&) {
                    caught = true;
                }
                thrown += caught != fails;
            }
        };
        kaio::sync_wait(loop, program());
        CHECK(begun == finished);
        CHECK(thrown == 0);
        CHECK_FALSE(too_many);
    }
}

TEST_CASE("two coroutines that wait for one group end the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::loop loop(4);
              int finished = 0;
              kaio::task_group group(loop);
              group.spawn(finish_after(loop, 1ms, finished));
              auto const waiter = [](kaio::task_group<kaio::loop>& g) -> test::owned_coroutine { co_await g.wait(); };
              test::owned_coroutine const first = waiter(group), second = waiter(group);
              return 0;
          }) == 1000 + SIGABRT);
}
