#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <kaio/loop/loop.hpp>
#include <kaio/loop/owned_post.hpp>

namespace {

constexpr kaio::loop_options sleeps_at_once{.spin_limit = kaio::duration::zero()};

using any_post = kaio::owned_post<std::function<void()>>;

} // namespace

TEST_CASE("owned posts of many threads are called once each, on the loop's thread, in the order of each thread") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::loop loop(4, {.spin_limit = kaio::duration::zero(), .setup = {.events = events}});
    loop.hold();
    constexpr int threads = 4, posts = 500;
    auto const loops = std::this_thread::get_id();
    std::vector<int> got(threads);
    int wrong = 0, left = threads * posts;
    std::deque<any_post> owned;
    for (int i = 0; i < threads * posts; ++i)
        owned.emplace_back([&, i] {
            int& next = got[static_cast<std::size_t>(i / posts)];
            wrong += next++ != i % posts || std::this_thread::get_id() != loops;
            if (--left == 0) loop.release();
        });
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t)
        running.emplace_back([&, t] {
            for (int i = 0; i < posts; ++i) {
                loop.post(owned[static_cast<std::size_t>(t * posts + i)]);
                if (i % 50 == 0) std::this_thread::yield();
            }
        });
    CHECK(loop.run() == threads * posts);
    for (auto& thread : running) thread.join();
    CHECK(wrong == 0);
    CHECK(left == 0);
}

TEST_CASE("an owned post goes to and fro between two threads, and finds what the other has written") {
    kaio::loop here(2, sleeps_at_once), there(2, sleeps_at_once);
    here.hold();
    there.hold();
    constexpr int rounds = 2000;
    int ball = 0; // no lock guards it
    std::optional<any_post> back;
    any_post forth([&] {
        ++ball;
        here.post(*back);
    });
    back.emplace([&] {
        if (++ball < 2 * rounds) return there.post(forth);
        here.release();
        there.post([&] { there.release(); });
    });
    std::thread other([&] { there.run(); });
    there.post(forth);
    here.run();
    other.join();
    CHECK(ball == 2 * rounds);
}

TEST_CASE("an owned post that is on its way is refused, and then called once with all that was done before") {
    kaio::loop loop(1);
    int called = 0;
    kaio::owned_post post([&] { ++called; });
    CHECK(loop.try_post(post));
    CHECK(loop.try_post(post).error().value() == EBUSY);
    CHECK_THROWS_WITH(loop.post(post), test::ContainsSubstring("kaio: loop.post"));
    CHECK(loop.run() == 1);
    CHECK(called == 1);
    loop.post(post);
    CHECK(loop.run() == 1);
    CHECK(called == 2);
}

TEST_CASE("what threads do before they post the same function is seen when it is called") {
    kaio::loop loop(1);
    int first = 0, second = 0, sum = 0;
    kaio::owned_post post([&] { sum = first + second; });
    std::atomic<int> step{0}; // relaxed, so that it orders nothing
    auto const await_step = [&](int wanted) {
        while (step.load(std::memory_order_relaxed) != wanted) std::this_thread::yield();
    };
    std::thread winner([&] {
        first = 1;
        loop.post(post);
        step.store(1, std::memory_order_relaxed);
    });
    int error = 0;
    std::thread refused([&] {
        await_step(1);
        second = 2;
        error = loop.try_post(post).error().value();
        step.store(2, std::memory_order_relaxed);
    });
    await_step(2);
    CHECK(loop.run() == 1);
    CHECK(sum == 3);
    winner.join();
    refused.join();
    CHECK(error == EBUSY);
}

TEST_CASE("the function of an owned post may post it again, destroy it, and throw") {
    kaio::loop loop(1);
    int left = 3;
    std::optional<any_post> again;
    again.emplace([&] {
        if (--left != 0) loop.post(*again);
    });
    loop.post(*again);
    CHECK(loop.run() == 3);

    std::unique_ptr<any_post> gone;
    gone = std::make_unique<any_post>([&] {
        int& outlives = left; // the closure goes with the post
        gone.reset();
        outlives = 7;
    });
    loop.post(*gone);
    CHECK(loop.run() == 1);
    CHECK(left == 7);

    kaio::owned_post throws([] { throw std::runtime_error("posted"); });
    loop.post(throws);
    CHECK_THROWS_WITH(loop.run(), "posted");
    loop.post(throws);
    CHECK_THROWS_WITH(loop.run(), "posted");
}

TEST_CASE("destroying a loop calls an owned post that is on its way") {
    int called = 0;
    kaio::owned_post post([&] { ++called; });
    {
        kaio::loop loop(1);
        loop.post(post);
    }
    CHECK(called == 1);
}

TEST_CASE("posting an owned post fails where a post fails, and then it is not on its way") {
    test::script script;
    script.waker[1] = -EMFILE;
    int called = 0;
    kaio::owned_post post([&] { ++called; });
    {
        kaio::basic_loop<test::scripted_kernel> loop(1, {}, test::scripted_kernel(script));
        CHECK(loop.try_post(post).error().value() == EMFILE);
        CHECK(loop.try_post(post));
        CHECK(loop.run() == 1);
    }
    kaio::loop from(1);
    kaio::loop to(std::move(from));
    CHECK(from.try_post(post).error().value() == EINVAL);
    CHECK(called == 1);
}

TEST_CASE("an owned post that is destroyed on its way ends the program with a message, but not in a forked child") {
    kaio::loop loop(1);
    auto post = std::make_unique<any_post>([] {});
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL);       // not Catch2's
              auto* const own = new kaio::loop(1); // leaked: its destructor would call the post
              kaio::owned_post early([] {});
              own->post(early);
              return 0;
          }) == 1000 + SIGABRT);
    loop.post(*post);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              post.reset();
              return loop.try_post([] {}).error().value();
          }) == EINVAL);
    CHECK(loop.run() == 1);
}
