// The cost of posting: to a loop that is awake, and to and fro between two threads at depth 1, beside a mutex and a
// condition variable. There CPU time counts: both threads sleep nearly always.
#include <support/catch.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include <time.h>

#include <kaio/loop/loop.hpp>
#include <kaio/loop/owned_post.hpp>

namespace {

constexpr int rounds = 5000;

double cpu_ns() {
    timespec time;
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// Each returns the CPU time (ns) of a round: there and back.
double with_owned_posts() {
    kaio::loop here(1), there(1);
    here.hold();
    there.hold();
    int left = rounds;
    std::optional<kaio::owned_post<std::function<void()>>> back;
    kaio::owned_post forth([&] { here.post(*back); });
    back.emplace([&] { --left != 0 ? there.post(forth) : here.release(); });
    std::thread other([&] { there.run(); });
    double const began = cpu_ns();
    there.post(forth);
    here.run();
    double const took = cpu_ns() - began;
    there.post([&] { there.release(); });
    other.join();
    CHECK(left == 0);
    return took / rounds;
}

double with_condition_variables() {
    std::mutex mutex;
    std::condition_variable here, there;
    enum { at_home, away, ended } ball = at_home;
    std::thread other([&] {
        std::unique_lock lock(mutex);
        for (;;) {
            there.wait(lock, [&] { return ball != at_home; });
            if (ball == ended) return;
            ball = at_home;
            here.notify_one();
        }
    });
    double const began = cpu_ns();
    {
        std::unique_lock lock(mutex);
        for (int i = 0; i < rounds; ++i) {
            ball = away;
            there.notify_one();
            here.wait(lock, [&] { return ball == at_home; });
        }
        ball = ended;
    }
    double const took = cpu_ns() - began;
    there.notify_one();
    other.join();
    return took / rounds;
}

} // namespace

TEST_CASE("posting to a loop that is awake") {
    kaio::loop loop(1);
    int called = 0;
    kaio::owned_post post([&] { ++called; });
    BENCHMARK("1 owned post and its call") {
        loop.post(post);
        return loop.poll();
    };
    BENCHMARK("1 post and its call") {
        loop.post([&] { ++called; });
        return loop.poll();
    };
    CHECK(called > 0);
}

TEST_CASE("to another thread and back costs no more CPU than with a mutex and a condition variable") {
    // The least of each, in turn: a wake-up on another processor may cost ten times as much, whoever does it.
    double posts = 1e9, conditions = 1e9;
    for (int i = 0; i < 15; ++i) {
        posts = std::min(posts, with_owned_posts());
        conditions = std::min(conditions, with_condition_variables());
    }
    std::printf("to another thread and back: %.0f ns of CPU with owned posts, %.0f with a condition variable\n", posts,
                conditions);
#if defined(__OPTIMIZE__) && !KAIO_ASAN && !KAIO_TSAN
    CHECK(posts <= conditions);
#endif
}
