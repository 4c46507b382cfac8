#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/coro/completion.hpp>

namespace {

// An interface with callbacks: calls back at once, or when the loop comes round.
template <class Callback> void ask(kaio::loop* loop, int question, Callback callback) {
    if (!loop) return callback(question + 1);
    loop->submit(kaio::after(kaio::duration::zero()),
                 [callback, question](kaio::io_result) { callback(question + 1); });
}

kaio::task<int> answers(kaio::loop* loop, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        kaio::completion<int> answer;
        ask(loop, i, [&answer](int value) { answer.complete(value); });
        sum = (sum + co_await answer) % 1'000'003;
    }
    co_return sum;
}

int expected(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum = (sum + i + 1) % 1'000'003;
    return sum;
}

} // namespace

TEST_CASE("a completion may be completed before it is awaited, and after") {
    kaio::loop loop(4);
    CHECK(kaio::sync_wait(loop, answers(nullptr, 3)) == 6);
    CHECK(kaio::sync_wait(loop, answers(&loop, 3)) == 6);
}

TEST_CASE("a million completions, before the await or after it, do not grow the stack") {
    kaio::loop loop(4);
    CHECK(kaio::sync_wait(loop, answers(nullptr, 1'000'000)) == expected(1'000'000));
    CHECK(kaio::sync_wait(loop, answers(&loop, 1'000'000)) == expected(1'000'000));
}

TEST_CASE("the coroutine resumes inside complete, and gets what was completed with, moved") {
    kaio::completion<std::unique_ptr<int>> done;
    std::unique_ptr<int> got;
    auto const waiter = [](kaio::completion<std::unique_ptr<int>>& c,
                           std::unique_ptr<int>& out) -> test::owned_coroutine { out = co_await c; };
    test::owned_coroutine const waiting = waiter(done, got);
    CHECK_FALSE(done.completed());
    done.complete(std::make_unique<int>(7));
    REQUIRE(got);
    CHECK(*got == 7);
    CHECK(done.completed());
}

TEST_CASE("complete makes the value of its arguments, which may be none") {
    kaio::completion<std::string> text;
    text.complete(std::size_t{3}, 'x');
    kaio::completion<> nothing;
    kaio::completion<void> same;
    std::string got;
    bool went_on = false;
    auto const waiter = [&]() -> test::owned_coroutine {
        co_await nothing;
        co_await same;
        got = co_await text;
        went_on = true;
    };
    test::owned_coroutine const waiting = waiter();
    nothing.complete();
    CHECK_FALSE(went_on);
    same.complete();
    CHECK(went_on);
    CHECK(got == "xxx");
}

TEST_CASE("the coroutine may destroy the completion when it is resumed") {
    auto done = std::make_unique<kaio::completion<std::string>>();
    std::string got;
    auto const owner = [](std::unique_ptr<kaio::completion<std::string>>& mine,
                          std::string& out) -> test::owned_coroutine {
        out = co_await *mine;
        mine.reset();
    };
    test::owned_coroutine const waiting = owner(done, got);
    done->complete("a value that is not short enough for small strings");
    CHECK_FALSE(done);
    CHECK(got == "a value that is not short enough for small strings");
}

TEST_CASE("a value that nobody takes is destroyed with the completion, and so is one that was taken") {
    auto const value = std::make_shared<int>(1);
    {
        kaio::completion<std::shared_ptr<int>> never_awaited, never_completed;
        never_awaited.complete(value);
        CHECK(value.use_count() == 2);
    }
    CHECK(value.use_count() == 1);
}

TEST_CASE("a coroutine that is destroyed while it waits is not resumed") {
    kaio::completion<int> done;
    int got = 0;
    auto const waiter = [](kaio::completion<int>& c, int& out) -> test::owned_coroutine { out = co_await c; };
    test::owned_coroutine waiting = waiter(done, got);
    waiting.reset();
    done.complete(1);
    CHECK(got == 0);
}

TEST_CASE("a completion whose value could not be made is not completed") {
    struct picky {
        explicit picky(int i) : value(i) {
            if (i < 0) throw std::invalid_argument("negative");
        }
        int value;
    };
    kaio::completion<picky> done;
    int got = 0;
    auto const waiter = [](kaio::completion<picky>& c, int& out) -> test::owned_coroutine { out = (co_await c).value; };
    test::owned_coroutine const waiting = waiter(done, got);
    CHECK_THROWS_WITH(done.complete(-1), "negative");
    CHECK_FALSE(done.completed());
    done.complete(1);
    CHECK(got == 1);
}

TEST_CASE("what the coroutine throws when it is resumed leaves complete") {
    kaio::completion<> done;
    auto const thrower = [](kaio::completion<>& c) -> test::owned_coroutine {
        co_await c;
        throw std::runtime_error("resumed");
    };
    test::owned_coroutine const throwing = thrower(done);
    CHECK_THROWS_WITH(done.complete(), "resumed");
}

TEST_CASE("another thread completes through the loop") {
    kaio::loop loop(4);
    kaio::completion<int> done;
    auto const waiter = [](kaio::completion<int>& c) -> kaio::task<int> { co_return co_await c; };
    loop.hold();
    std::thread other([&] { loop.post([&] { done.complete(5); }); });
    CHECK(kaio::sync_wait(loop, waiter(done)) == 5);
    other.join();
    loop.release();
}

TEST_CASE(
    "completing twice, awaiting twice and destroying a completion that is awaited end the program with a message") {
    auto const ends = [](auto body) {
        return test::in_child([&] {
                   std::signal(SIGABRT, SIG_DFL); // not Catch2's
                   ::close(STDERR_FILENO);
                   auto done = std::make_unique<kaio::completion<int>>();
                   body(done);
                   return 0;
               }) == 1000 + SIGABRT;
    };
    using completion = std::unique_ptr<kaio::completion<int>>;
    auto const waiter = [](kaio::completion<int>& c) -> test::owned_coroutine { (void)co_await c; };
    CHECK(ends([](completion& done) {
        done->complete(1);
        done->complete(2);
    }));
    CHECK(ends([&](completion& done) {
        test::owned_coroutine const one = waiter(*done), two = waiter(*done);
        done->complete(1);
    }));
    CHECK(ends([&](completion& done) {
        test::owned_coroutine const one = waiter(*done);
        done.reset();
    }));
    CHECK(ends([&](completion& done) {
        done->complete(1);
        test::owned_coroutine const one = waiter(*done), two = waiter(*done);
    }));
    CHECK_FALSE(ends([&](completion& done) {
        test::owned_coroutine const one = waiter(*done);
        done->complete(1);
    }));
}
