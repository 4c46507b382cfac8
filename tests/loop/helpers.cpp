#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"
#include "support/stepped_team.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

using counted_loop = kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>;

// A pipe: a read of it blocks until something is written.
struct pipe_ends {
    int ends[2];

    pipe_ends() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() {
        ::close(ends[0]);
        ::close(ends[1]);
    }

    int reader() const { return ends[0]; }
    void put(const std::string& text) const {
        REQUIRE(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
};

} // namespace

TEST_CASE("a request that blocks does not block the loop: others complete meanwhile, and it completes at last") {
    unsigned const threads = GENERATE(1u, 3u);
    kaio::helpers helpers(threads);
    counted_loop loop(4, helpers);
    pipe_ends const pipe;
    char text[8] = {};
    std::string order;
    loop.submit(kaio::read(pipe.reader(), text, 0), [&](kaio::io_result result) {
        order += "pipe ";
        CHECK(result.bytes() == 3);
    });
    loop.submit(kaio::after(kaio::duration::from_ns(1'000'000)), [&](kaio::io_result) {
        order += "timer ";
        pipe.put("abc");
    });
    loop.run();
    CHECK(order == "timer pipe ");
    CHECK(std::string(text) == "abc");
    CHECK(loop.observer().would_block == 1);
}

TEST_CASE("a user's own nowait keeps its meaning") {
    kaio::helpers helpers;
    counted_loop loop(4, helpers);
    pipe_ends const pipe;
    char text[8];
    std::error_code error;
    loop.submit(kaio::read(pipe.reader(), text, 0).flags(kaio::rw_flags::nowait),
                [&](kaio::io_result result) { error = result.error(); });
    loop.run();
    CHECK(error == std::errc::resource_unavailable_try_again);
    CHECK(loop.observer().would_block + loop.observer().no_nowait == 0);
}

TEST_CASE("a request that waits for a helper can be cancelled, and one that a helper has taken can't") {
    test::stepped_team team;
    counted_loop loop(4, team);
    pipe_ends const pipe;
    char text[8];
    std::vector<std::string> results;
    kaio::owned_operation first(
        [&](kaio::io_result result) { results.push_back("first " + result.error().message()); });
    loop.submit(kaio::read(pipe.reader(), text, 0), first);
    loop.flush();
    loop.poll(); // the event says that it would have blocked
    REQUIRE(team.jobs() == 1);
    CHECK(loop.in_flight() == 1);
    CHECK(loop.cancel(first));
    loop.poll();
    CHECK(results == std::vector<std::string>{"first Operation canceled"});
    CHECK(loop.in_flight() == 0);
    pipe.put("x");
    loop.submit(kaio::read(pipe.reader(), text, 0), first);
    loop.run();
    CHECK(results.back() == "first Success");
    team.step(); // finds nothing
}

TEST_CASE("without a helper the loop's thread does the work") {
    test::stepped_team team;
    team.works = false;
    counted_loop loop(4, team);
    test::temporary_file const file;
    std::vector<char> bytes(4096, 'x');
    int done = 0;
    for (int i = 0; i < 20; ++i)
        loop.submit(kaio::write(file.fd(), bytes, i * 4096),
                    [&](kaio::io_result result) { done += result.bytes() == 4096; });
    loop.run();
    CHECK(done == 20);
}

TEST_CASE("destroying a loop completes what waits for a helper with ECANCELED, and waits for what helpers have") {
    pipe_ends const pipe;
    char text[2][8];
    std::vector<int> errors;
    test::stepped_team team;
    {
        kaio::loop loop(4, team);
        for (auto& each : text)
            loop.submit(kaio::read(pipe.reader(), each, 0),
                        [&](kaio::io_result result) { errors.push_back(result.error().value()); });
        loop.poll();
        loop.poll();
        CHECK(errors.empty());
    }
    CHECK(errors == std::vector<int>{ECANCELED, ECANCELED});
    CHECK(team.jobs() == 0);
}

TEST_CASE("what is refused on its way through a helper completes with the error, in a run and in the destructor") {
    bool const destroyed = GENERATE(false, true);
    pipe_ends const pipe;
    int const reader = ::dup(pipe.reader());
    char text[8];
    std::vector<int> errors;
    {
        test::stepped_team team;
        kaio::loop loop(4, team);
        loop.submit(kaio::read(reader, text, 0),
                    [&](kaio::io_result result) { errors.push_back(result.error().value()); });
        loop.poll();
        loop.poll(); // the event says that it would have blocked
        ::close(reader);
        team.step();
        if (!destroyed) loop.run();
    }
    CHECK(errors == std::vector<int>{EBADF});
}

TEST_CASE("what a helper's submission is refused for is the request's result, while others stay in flight") {
    test::stepped_team team;
    kaio::loop loop(4, team);
    pipe_ends const pipe, silent;
    char text[8];
    std::string order;
    kaio::owned_operation silence([&](kaio::io_result result) { order += result.error().message() + " "; });
    loop.submit(kaio::poll(silent.reader(), POLLIN), silence); // never completes by itself
    int const reader = ::dup(pipe.reader());
    loop.submit(kaio::read(reader, text, 0), [&](kaio::io_result result) {
        order += result.error().message() + ", ";
        REQUIRE(loop.cancel(silence));
    });
    loop.poll();
    loop.poll();
    REQUIRE(team.jobs() == 1);
    ::close(reader);
    team.step();
    loop.run_for(std::chrono::seconds(10));
    CHECK(order == "Bad file descriptor, Operation canceled ");
    CHECK(loop.in_flight() == 0);
}

TEST_CASE("destroying a loop completes what a helper's submission was refused for") {
    pipe_ends const pipe;
    char text[8];
    int const reader = ::dup(pipe.reader());
    std::vector<int> errors;
    test::stepped_team team;
    {
        kaio::loop loop(4, team);
        loop.submit(kaio::read(reader, text, 0), [&](kaio::io_result r) { errors.push_back(r.error().value()); });
        loop.poll();
        loop.poll();
        REQUIRE(team.jobs() == 1);
        ::close(reader);
        team.step();
    }
    CHECK(errors == std::vector<int>{EBADF});
}

TEST_CASE("an error of the request teaches nothing about its file") {
    kaio::helpers helpers;
    counted_loop loop(4, helpers);
    char text[8];
    auto const unknown = static_cast<kaio::rw_flags>(1 << 30);
    int const error = GENERATE(EOPNOTSUPP, EINVAL);
    int const fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    auto const wrong = error == EINVAL ? kaio::read(fd, text, -1) : kaio::read(fd, text, 0).flags(unknown);
    loop.submit(wrong, [&](kaio::io_result result) { CHECK(result.error().value() == error); });
    loop.run();
    CHECK(loop.observer().no_nowait == 1);
    int good = 0;
    for (int i = 0; i < 4; ++i)
        loop.submit(kaio::read(fd, text, 0), [&](kaio::io_result result) { good += result.bytes() == 8; });
    loop.run();
    CHECK(good == 4);
    CHECK(loop.observer().no_nowait == 1);
    CHECK(loop.observer().known_to_block == 0);
    ::close(fd);
}

TEST_CASE("as many jobs run at once as there are helpers, whenever they are started") {
    struct meeting : kaio::helper_job {
        meeting() : helper_job{&meet} {}
        static void meet(kaio::helper_job& self) noexcept {
            auto& all = *static_cast<meeting&>(self).arrived;
            __atomic_add_fetch(&all, 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&all, __ATOMIC_SEQ_CST) % 2 != 0) std::this_thread::yield();
        }
        unsigned* arrived = nullptr;
    } jobs[2];
    kaio::helpers helpers(2);
    unsigned arrived = 0;
    for (int round = 0; round < 3000; ++round) {
        for (auto& job : jobs) {
            job.arrived = &arrived;
            REQUIRE(helpers.start(job));
            if (round % 3 == 0)
                for (int spin = round % 100; spin != 0; --spin) kaio::linux_kernel::relax();
        }
        for (auto& job : jobs) helpers.wait_for(job);
    }
    CHECK(arrived == 6000);
}

TEST_CASE("threads that need the first helper at the same time all get it") {
    struct noted : kaio::helper_job {
        noted() : helper_job{&note} {}
        static void note(kaio::helper_job& self) noexcept { ++static_cast<noted&>(self).runs; }
        int runs = 0;
    };
    for (int round = 0; round < 100; ++round) {
        kaio::helpers helpers;
        std::barrier ready(3);
        bool started[3] = {};
        noted jobs[3];
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([&, i] {
                ready.arrive_and_wait();
                started[i] = helpers.start(jobs[i]);
                helpers.wait_for(jobs[i]);
            });
        for (auto& thread : threads) thread.join();
        for (int i = 0; i < 3; ++i) {
            CHECK(started[i]);
            CHECK(jobs[i].runs == 1);
        }
    }
}

TEST_CASE("a loop with helpers can be moved as soon as its requests have completed") {
    kaio::helpers helpers;
    auto loop = std::make_unique<kaio::loop>(4, helpers);
    pipe_ends const pipe;
    char text[8];
    int done = 0;
    for (int round = 0; round < 500; ++round) {
        for (int i = 0; i < 2; ++i)
            loop->submit(kaio::read(pipe.reader(), text, 0), [&](kaio::io_result r) { done += r.bytes() == 1; });
        loop->poll();
        loop->poll();
        pipe.put("a");
        while (done % 2 == 0) loop->poll();
        pipe.put("b");
        while (done % 2 != 0) loop->poll();
        loop = std::make_unique<kaio::loop>(std::move(*loop));
    }
    CHECK(done == 1000);
}

TEST_CASE("what a helper has counts as in flight, and takes its place in the capacity") {
    test::stepped_team team;
    counted_loop loop(2, team);
    pipe_ends const pipe;
    char text[3];
    std::string order;
    for (char& each : text)
        loop.submit(kaio::read(pipe.reader(), std::span(&each, 1), 0), [&](kaio::io_result) { order += each; });
    loop.poll();
    loop.poll();
    CHECK(loop.in_flight() == 2);
    CHECK(loop.queued() == 1);
    pipe.put("abc");
    loop.run_for(std::chrono::milliseconds(1));
    CHECK(order.empty());
    team.step();
    loop.run();
    CHECK(order == "abc");
}

TEST_CASE("a pipe is read once for each request, whether a helper had it or not") {
    kaio::helpers helpers(2);
    kaio::loop loop(8, helpers);
    pipe_ends const pipe;
    constexpr unsigned count = 300;
    unsigned char text[count][3];
    unsigned done = 0;
    std::size_t bytes = 0, written = 0;
    std::vector<int> seen(256);
    for (auto& each : text)
        loop.submit(kaio::read(pipe.reader(), each, 0), [&](kaio::io_result result) {
            ++done;
            bytes += result.bytes();
            for (std::size_t i = 0; i < result.bytes(); ++i) ++seen[each[i]];
        });
    unsigned char next = 0;
    int left = 0; // in the pipe
    while (done != count) {
        REQUIRE(::ioctl(pipe.reader(), FIONREAD, &left) == 0);
        if (loop.poll() != 0 || left > 8) continue;
        pipe.put(std::string(1, static_cast<char>(next)));
        ++next;
        ++written;
    }
    REQUIRE(::ioctl(pipe.reader(), FIONREAD, &left) == 0);
    CHECK(bytes + static_cast<std::size_t>(left) == written);
    for (int const each : seen) CHECK(each <= static_cast<int>(written / 256 + 1));
}

TEST_CASE("a forked child has no helpers and does nothing, and its parent goes on") {
    auto helpers = std::make_unique<kaio::helpers>();
    auto loop = std::make_unique<kaio::loop>(4, *helpers);
    pipe_ends const pipe;
    char text[8];
    int handled = 0;
    loop->submit(kaio::read(pipe.reader(), text, 0), [&](kaio::io_result result) { handled += result.bytes() == 3; });
    loop->run_for(std::chrono::milliseconds(5)); // now a helper is in io_submit
    int const status = test::in_child([&] {
        if (loop->usable() || helpers->usable()) return 1;
        if (kaio::loop::try_make(4, *helpers).error().value() != EINVAL) return 2;
        loop.reset();
        helpers.reset();
        if (handled != 0) return 3;
#ifndef KAIO_TSAN // does not let a child start threads
        kaio::helpers own;
        kaio::loop again(4, own);
        pipe_ends const another;
        again.submit(kaio::read(another.reader(), text, 0),
                     [&](kaio::io_result result) { handled += result.bytes() == 2; });
        again.submit(kaio::after(std::chrono::milliseconds(1)), [&](kaio::io_result) { another.put("ab"); });
        again.run();
        if (handled != 1) return 4;
#endif
        return 0;
    });
    CHECK(status == 0);
    CHECK(handled == 0);
    pipe.put("abc");
    loop->run();
    CHECK(handled == 1);
}

TEST_CASE("coroutines, whole transfers and buffers that travel know nothing of helpers") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    pipe_ends const pipe;
    auto const later = [&](std::string text) {
        loop.submit(kaio::after(std::chrono::milliseconds(1)), [&, text](kaio::io_result) { pipe.put(text); });
    };
    auto const together = [&]() -> kaio::task<std::string> {
        later("abc");
        auto [result, buffer] = co_await loop.submit(kaio::read(pipe.reader(), std::vector<char>(8), 0));
        std::string all(buffer.data(), result.bytes());
        char rest[6];
        later("def");
        for (std::size_t got = 0; got != sizeof rest;) {
            kaio::io_result const part =
                co_await loop.submit(kaio::read(pipe.reader(), std::span(rest).subspan(got), 0));
            got += part.bytes();
            if (got == 3) later("ghi");
        }
        co_return all + std::string(rest, sizeof rest);
    };
    CHECK(kaio::sync_wait(loop, together()) == "abcdefghi");
}

TEST_CASE("a notifier wakes for what a helper has submitted, and for what a helper was refused") {
    test::stepped_team team;
    kaio::loop loop(4, team);
    kaio::notifier notifier(loop);
    pipe_ends const pipe;
    int const closing = ::dup(pipe.reader());
    char text[8];
    std::string order;
    pollfd watched{notifier.fd(), POLLIN, 0};
    auto const turn = [&] {
        REQUIRE(::poll(&watched, 1, 10'000) == 1);
        notifier.poll();
    };
    loop.submit(kaio::read(pipe.reader(), text, 0),
                [&](kaio::io_result r) { order += r.bytes() == 1 ? "read " : "? "; });
    notifier.update();
    while (team.jobs() == 0) turn();
    CHECK(order.empty());
    pipe.put("x");
    CHECK(::poll(&watched, 1, 10) == 0);
    team.step();
    while (order.empty()) turn();
    loop.submit(kaio::read(closing, text, 0), [&](kaio::io_result r) { order += r.error().message(); });
    notifier.update();
    while (team.jobs() == 0) turn();
    ::close(closing);
    team.step();
    while (order.size() < 6) turn();
    CHECK(order == "read Bad file descriptor");
}

TEST_CASE("a notifier wakes for what goes to a helper at once") {
    test::stepped_team team;
    counted_loop loop(4, team);
    kaio::notifier notifier(loop);
    test::temporary_file const file(0, ".");
    pollfd watched{notifier.fd(), POLLIN, 0};
    bool done = false;
    loop.submit(kaio::write(file.fd(), "text", 0).flags(kaio::rw_flags::append), [&](kaio::io_result) { done = true; });
    notifier.update();
    if (team.jobs() == 0) SKIP_TEST("appending blocks nowhere here");
    CHECK(loop.observer().known_to_block == 1);
    team.step();
    while (!done) {
        REQUIRE(::poll(&watched, 1, 10'000) == 1);
        notifier.poll();
    }
}

TEST_CASE("a request that a helper's io_submit refuses does not keep those behind it") {
    test::stepped_team team;
    kaio::loop loop(8, team);
    pipe_ends const pipe;
    int const closing = ::dup(pipe.reader());
    char text[5];
    std::string order;
    for (char& each : text)
        loop.submit(
            kaio::read(&each - text == 1 || &each - text == 4 ? closing : pipe.reader(), std::span(&each, 1), 0),
            [&](kaio::io_result r) { order += r                                             ? each
                                              : r.error() == std::errc::bad_file_descriptor ? '-'
                                                                                            : '?'; });
    while (team.jobs() == 0) loop.poll();
    ::close(closing);
    pipe.put("abc");
    team.step();
    loop.run();
    std::sort(order.begin(), order.end());
    CHECK(order == "--abc");
}

TEST_CASE("a file in memory needs no helper, until its number names another file") {
    kaio::helpers helpers;
    counted_loop loop(4, helpers);
    int const number = ::memfd_create("kaio", MFD_CLOEXEC);
    REQUIRE(::ftruncate(number, 4096) == 0);
    char text[8];
    std::size_t bytes = 0;
    auto const count = [&](kaio::io_result result) { bytes = result.bytes(); };
    for (int i = 0; i < 3; ++i) {
        loop.submit(kaio::read(number, text, 0), count);
        loop.run();
        CHECK(bytes == 8);
    }
    CHECK(loop.observer().would_block + loop.observer().known_to_block + loop.observer().no_nowait == 0);
    pipe_ends const pipe;
    REQUIRE(::dup2(pipe.reader(), number) == number);
    loop.submit(kaio::read(number, text, 0), count);
    loop.submit(kaio::after(std::chrono::milliseconds(1)), [&](kaio::io_result) { pipe.put("abc"); });
    loop.run();
    CHECK(bytes == 3);
    ::close(number);
}

TEST_CASE("signals stay out of the helpers") {
    static volatile sig_atomic_t elsewhere = 0;
    static pthread_t const here = ::pthread_self();
    struct sigaction action{};
    action.sa_handler = [](int) { elsewhere = elsewhere + !::pthread_equal(::pthread_self(), here); };
    REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
    sigset_t mask, before;
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGUSR1);
    {
        kaio::helpers helpers;
        kaio::loop loop(4, helpers);
        pipe_ends const pipe;
        char text[8];
        loop.submit(kaio::read(pipe.reader(), text, 0), [](kaio::io_result) {});
        loop.run_for(std::chrono::milliseconds(2));
        ::pthread_sigmask(SIG_BLOCK, &mask, &before); // so only a helper could take it
        ::kill(::getpid(), SIGUSR1);
        loop.run_for(std::chrono::milliseconds(5));
        CHECK(elsewhere == 0);
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        CHECK(::sigismember(&before, SIGUSR1) == 0); // starting a thread has left this one's mask alone
        pipe.put("x");
        loop.run();
    }
    CHECK(elsewhere == 0);
    ::signal(SIGUSR1, SIG_DFL);
}

TEST_CASE("where no thread can be started the loop's thread does the work") {
    int const status = test::in_child([] {
        rlimit const none{0, 0};
        if (::setrlimit(RLIMIT_NPROC, &none) != 0) return 2;
        if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 2;
        pthread_t thread;
        if (::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0) {
            ::pthread_join(thread, nullptr);
            return 2;
        }
        kaio::helpers helpers(2);
        kaio::loop loop(4, helpers);
        test::temporary_file const file(4096, "/tmp");
        ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED);
        std::vector<char> bytes(4096);
        int done = 0;
        loop.submit(kaio::write(file.fd(), bytes, 0), [&](kaio::io_result r) { done += r.bytes() == 4096; });
        loop.submit(kaio::write(file.fd(), bytes, 4096).flags(kaio::rw_flags::append),
                    [&](kaio::io_result r) { done += r.bytes() == 4096; });
        loop.run();
        return done == 2 ? 0 : 4;
    });
    if (status == 2) SKIP_TEST("threads can't be forbidden here");
    CHECK(status == 0);
}
