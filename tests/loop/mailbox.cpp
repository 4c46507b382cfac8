#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/rounds.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

using scripted_loop = kaio::basic_loop<test::scripted_kernel>;

constexpr kaio::loop_options sleeps_at_once{.spin_limit = kaio::duration::zero()};

} // namespace

TEST_CASE("what a thread posts runs on the loop's thread, in order, and wakes a loop that sleeps") {
    auto const spin_limit = GENERATE(kaio::duration::zero(), kaio::duration(100us), kaio::duration());
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::loop loop(4, {.spin_limit = spin_limit, .setup = {.events = events}});
    loop.hold();
    auto const loops = std::this_thread::get_id();
    constexpr int threads = 4, posts = static_cast<int>(test::rounds(2000));
    std::vector<std::vector<int>> got(threads);
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t)
        running.emplace_back([&, t] {
            for (int i = 0; i < posts; ++i) {
                loop.post([&, t, i] {
                    if (std::this_thread::get_id() == loops) got[static_cast<std::size_t>(t)].push_back(i);
                });
                if (i % 50 == 0) std::this_thread::sleep_for(100us); // so that it falls asleep now and then
            }
            loop.post([&] { loop.hold(); });
            loop.post([&] { loop.release(); });
        });
    std::size_t called = 0;
    while (called < threads * (posts + 2)) called += loop.run_one();
    for (auto& thread : running) thread.join();
    loop.release();
    CHECK(loop.run() == 0);
    for (auto const& each : got) {
        REQUIRE(each.size() == posts);
        for (int i = 0; i < posts; ++i) REQUIRE(each[static_cast<std::size_t>(i)] == i);
    }
}

TEST_CASE("post makes no system call while the loop is awake, and one when it sleeps") {
    test::script script;
    scripted_loop loop(4, sleeps_at_once, test::scripted_kernel(script));
    int called = 0;
    for (int i = 0; i < 100; ++i) loop.post([&] { ++called; });
    CHECK(script.submits == 0);
    CHECK(loop.run() == 100);
    CHECK(called == 100);
    CHECK(script.submits + script.waits == 0);

    std::atomic<bool> asleep{
        false}; // from just before the system call on, and posts count on being heard from there on
    script.before_getevents = [&] { asleep = true; };
    loop.hold();
    std::thread other([&] {
        while (!asleep) std::this_thread::yield();
        loop.post([&] { loop.release(); });
    });
    CHECK(loop.run() == 1);
    other.join();
    CHECK(script.submits == 1);
}

TEST_CASE("posts, reads and sleeps of many rounds: nothing is lost and nothing hangs") {
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    kaio::loop loop(2, sleeps_at_once);
    constexpr int rounds = static_cast<int>(test::rounds(3000));
    std::atomic<int> answered{0};
    int reads = 0;
    bool done = false;
    loop.hold();
    std::thread other([&] {
        for (int i = 0; i < rounds; ++i) {
            loop.post([&] {
                loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) {
                    reads += r.bytes() == 512;
                    answered.fetch_add(1);
                });
            });
            if (i % 3 == 0) // waits for its answer, so that the loop is asleep at the next post, or just falling so
                while (answered.load() <= i) std::this_thread::yield();
        }
        loop.post([&] {
            loop.release();
            done = true;
        });
    });
    loop.run();
    other.join();
    CHECK(done);
    CHECK(reads == rounds);
}

TEST_CASE("a post that throws lets its exception out of run, and the next ones run") {
    kaio::loop loop(4);
    int called = 0;
    loop.post([&] { ++called; });
    loop.post([] { throw std::runtime_error("posted"); });
    auto resource = std::make_shared<int>(1);
    loop.post([&, resource] { ++called; });
    CHECK_THROWS_WITH(loop.run(), "posted");
    CHECK(loop.run() == 1);
    CHECK(called == 2);
    CHECK(resource.use_count() == 1);
}

TEST_CASE("destroying a loop calls what was posted") {
    int called = 0;
    {
        kaio::loop loop(4);
        loop.post([&] {
            ++called;
            loop.post([&] { ++called; });
        });
    }
    CHECK(called == 2);
}

TEST_CASE("a loop may be destroyed as soon as the last post to it has been called") {
    std::atomic<kaio::loop*> wanted{nullptr};
    bool called = false;
    std::atomic<bool> ended{false};
    std::thread other([&] { // it is not joined before the loops go
        while (!ended.load())
            if (kaio::loop* const loop = wanted.exchange(nullptr)) loop->post([&] { called = true; });
    });
    for (int i = 0; i < 60; ++i) {
        auto loop = std::make_unique<kaio::loop>(1, sleeps_at_once);
        loop->hold();
        called = false;
        wanted = loop.get();
        while (!called) i % 2 == 0 ? loop->run_one() : loop->poll();
    }
    ended = true;
    other.join();
}

TEST_CASE("errors of post: no descriptor, no usable loop, and a wake that the kernel refuses") {
    test::script script;
    script.waker[1] = -EMFILE;
    scripted_loop loop(4, sleeps_at_once, test::scripted_kernel(script));
    int called = 0;
    CHECK(loop.try_post([&] { ++called; }).error().value() == EMFILE);
    CHECK_THROWS_WITH(
        [&] {
            kaio::loop from(1);
            kaio::loop to(std::move(from));
            from.post([] {});
        }(),
        test::ContainsSubstring("kaio: loop.post"));
    CHECK(loop.try_post([&] { ++called; }));
    CHECK(loop.run() == 1);

    int const error = GENERATE(EAGAIN, EBADF, EINVAL);
    script.submit[1] = -error;
    std::atomic<bool> asleep{false};
    script.before_getevents = [&] { asleep = true; };
    loop.submit(kaio::after(100ms), [](kaio::io_result) {}); // wakes the loop that could not be woken
    std::error_code refused;
    std::thread other([&] {
        while (!asleep) std::this_thread::yield();
        refused = loop.try_post([&] { ++called; }).error();
    });
    loop.run();
    other.join();
    loop.run();
    CHECK(refused.value() == error);
    CHECK(called == 2);

    // And the next one wakes it as ever.
    asleep = false;
    loop.hold();
    std::thread next([&] {
        while (!asleep) std::this_thread::yield();
        loop.post([&] { loop.release(); });
    });
    CHECK(loop.run() == 1);
    next.join();
}

TEST_CASE("the descriptor that a post opens does not outlive exec, and goes with the loop") {
    auto const open_descriptors = [] {
        std::set<int> all;
        for (int fd = 0; fd < 256; ++fd)
            if (::fcntl(fd, F_GETFD) >= 0) all.insert(fd);
        return all;
    };
    auto const before = open_descriptors();
    {
        kaio::loop loop(1);
        loop.post([] {});
        auto const during = open_descriptors();
        CHECK(during.size() == before.size() + 1);
        for (int const fd : during)
            if (before.count(fd) == 0) CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("in a forked child posting is refused") {
    kaio::loop loop(4);
    loop.post([] {});
    loop.run();
    CHECK(test::in_child([&] { return loop.try_post([] {}).error().value(); }) == EINVAL);
}
