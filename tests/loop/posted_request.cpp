#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/posted_request.hpp>

using namespace std::chrono_literals;

namespace {

constexpr kaio::loop_options sleeps_at_once{.spin_limit = kaio::duration::zero()};

// A loop that a thread of its own runs.
class elsewhere {
public:
    explicit elsewhere(kaio::duration spin_limit = kaio::duration::zero()) : loop(4, {.spin_limit = spin_limit}) {
        loop.hold();
        thread_ = std::thread([this] { loop.run(); });
        thread = thread_.get_id();
    }
    ~elsewhere() { end(); }

    // From here on nobody runs the loop.
    void end() { // when nothing is in it
        if (!thread_.joinable()) return;
        loop.post([this] { loop.release(); });
        thread_.join();
    }
    void stop() { // at once
        loop.post([this] { loop.stop(); });
        thread_.join();
    }

    kaio::loop loop;
    std::thread::id thread;

private:
    std::thread thread_;
};

// A coroutine type that lets its frame be destroyed at any time, as task does not.
struct careless {
    struct promise_type {
        careless get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::abort(); }
    };
    std::coroutine_handle<promise_type> frame;
};

using any_operation = kaio::posted_operation<std::function<void(kaio::io_result)>>;

// A file of 4096 bytes, of which byte i is i % 251.
struct numbers {
    numbers() {
        std::array<unsigned char, 4096> bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i % 251);
        REQUIRE(::pwrite(file.fd(), bytes.data(), bytes.size(), 0) == 4096);
    }
    test::temporary_file file{4096};
};

} // namespace

TEST_CASE("requests that many threads post are submitted and completed by the loop's thread, once each") {
    numbers all;
    std::atomic<int> wrong{0}, completed{0};
    constexpr std::size_t threads = 3, requests = 300;
    std::vector<std::array<unsigned char, 16>> buffers(threads * requests);
    std::optional<elsewhere> other;
    other.emplace(GENERATE(kaio::duration::zero(), kaio::duration(100us)));
    auto const handler = [&](kaio::io_result result) {
        completed.fetch_add(1);
        wrong += result.bytes() != 16 || std::this_thread::get_id() != other->thread;
    };
    std::deque<kaio::posted_operation<decltype(handler)>> operations;
    for (std::size_t i = 0; i < threads * requests; ++i) operations.emplace_back(handler);
    std::vector<std::thread> running;
    for (std::size_t t = 0; t < threads; ++t)
        running.emplace_back([&, t] {
            for (std::size_t i = t; i < operations.size(); i += threads)
                other->loop.post(kaio::read(all.file, buffers[i], i % 100), operations[i]);
        });
    for (auto& thread : running) thread.join();
    other->end();
    CHECK(completed == threads * requests);
    CHECK(wrong == 0);
    for (std::size_t i = 0; i < buffers.size(); ++i) REQUIRE(buffers[i][0] == i % 100);
}

TEST_CASE("results come home: run waits for them, and the handlers are called by the thread that posted") {
    numbers all;
    kaio::loop home(2, sleeps_at_once);
    elsewhere other(GENERATE(kaio::duration::zero(), kaio::duration(100us)));
    auto const here = std::this_thread::get_id();
    int left = 2000, wrong = 0;
    std::array<unsigned char, 16> buffer{};
    std::optional<any_operation> operation;
    operation.emplace([&](kaio::io_result result) {
        wrong += result.bytes() != 16 || std::this_thread::get_id() != here || buffer[3] != (left % 100 + 3) % 251;
        if (--left != 0) other.loop.post(kaio::read(all.file, buffer, left % 100), *operation, home);
    });
    other.loop.post(kaio::read(all.file, buffer, left % 100), *operation, home);
    CHECK(home.run() == 2000);
    CHECK(left == 0);
    CHECK(wrong == 0);
}

TEST_CASE("two loops post requests to each other, many at once, and each result comes home once") {
    numbers all;
    struct side {
        kaio::loop loop{4, sleeps_at_once};
        std::array<int, 8> left{};
        std::array<std::array<char, 16>, 8> buffers{};
        int results = 0, wrong = 0;
    };
    std::array<side, 2> sides;
    constexpr int each = 200;
    auto const run = [&](std::size_t own) {
        side& mine = sides[own];
        kaio::loop& other = sides[1 - own].loop;
        std::deque<any_operation> operations;
        auto const here = std::this_thread::get_id();
        for (std::size_t i = 0; i < mine.left.size(); ++i) {
            mine.left[i] = each;
            operations.emplace_back([&, i](kaio::io_result result) {
                ++mine.results;
                mine.wrong += result.bytes() != 16 || std::this_thread::get_id() != here;
                if (--mine.left[i] != 0) other.post(kaio::read(all.file, mine.buffers[i], 0), operations[i], mine.loop);
            });
            other.post(kaio::read(all.file, mine.buffers[i], 0), operations[i], mine.loop);
        }
        int const total = each * static_cast<int>(mine.left.size());
        while (mine.results != total) mine.loop.run_one();
        other.post([&, own] { sides[1 - own].loop.release(); }); // the other side needs this loop until it has ended
        mine.loop.run();
    };
    for (side& each_side : sides) each_side.loop.hold();
    std::thread other([&] { run(1); });
    run(0);
    other.join();
    for (side const& each_side : sides) {
        CHECK(each_side.results == each * 8);
        CHECK(each_side.wrong == 0);
    }
}

TEST_CASE("whole transfers, and requests that are refused, come home as they complete elsewhere") {
    numbers all;
    kaio::loop home(1);
    elsewhere other;
    std::vector<unsigned char> buffer(4096);
    kaio::transfer_result got(0, EIO);
    kaio::posted_operation operation([&](kaio::transfer_result result) { got = result; });
    other.loop.post(kaio::fully(kaio::read(all.file, buffer, 0)), operation, home);
    home.run();
    CHECK(got.value() == 4096);
    CHECK(buffer[4000] == 4000 % 251);

    other.loop.post(kaio::fully(kaio::read(-1, buffer, 0)), operation, home);
    home.run();
    CHECK(got.error().value() == EBADF);

    other.loop.post(kaio::read(all.file, buffer, 4000), operation, home); // one transfer
    home.run();
    CHECK(got.value() == 96);
}

TEST_CASE("a coroutine awaits whatever submit takes in the loop of another thread, and resumes in its own") {
    numbers all;
    kaio::loop home(1, sleeps_at_once);
    elsewhere other;
    bool stayed = true;
    auto const here = std::this_thread::get_id();
    auto const reading = [&]() -> kaio::task<std::size_t> {
        std::array<unsigned char, 16> buffer{};
        std::size_t sum = 0;
        for (int i = 0; i < 500; ++i) {
            kaio::io_result const result = co_await other.loop.post(kaio::read(all.file, buffer, i), home);
            stayed = stayed && std::this_thread::get_id() == here && buffer[0] == i % 251;
            sum += result.bytes();
        }
        std::vector<unsigned char> owned(4096);
        auto [result, back] = co_await other.loop.post(kaio::fully(kaio::read(all.file, std::move(owned), 0)), home);
        stayed = stayed && back.size() == 4096 && back[100] == 100;
        sum += result.value();
        co_await other.loop.post(kaio::after(1ms), home);
        kaio::io_result const refused = co_await other.loop.post(kaio::read(-1, buffer, 0), home);
        co_return sum + (refused.error().value() == EBADF ? 1 : 0);
    };
    CHECK(kaio::sync_wait(home, reading()) == 500 * 16 + 4096 + 1);
    CHECK(stayed);
}

TEST_CASE("a request may be posted to the loop that it comes from") {
    numbers all;
    kaio::loop loop(1);
    std::array<char, 16> buffer;
    int called = 0;
    kaio::posted_operation operation([&](kaio::io_result result) { called += result.bytes() == 16; });
    loop.post(kaio::read(all.file, buffer, 0), operation);
    loop.run();
    loop.post(kaio::read(all.file, buffer, 0), operation, loop);
    loop.run();
    CHECK(called == 2);
}

TEST_CASE("an operation that came home may be posted again to complete elsewhere") {
    numbers all;
    kaio::loop home(1), other(1);
    std::array<char, 16> buffer;
    int called = 0;
    kaio::posted_operation operation([&](kaio::io_result) { ++called; });
    other.post(kaio::read(all.file, buffer, 0), operation, home);
    CHECK(other.run() == 2); // the post, and what takes the result home
    CHECK(home.run() == 1);
    other.post(kaio::read(all.file, buffer, 0), operation);
    CHECK(other.run() == 2);
    CHECK(home.run() == 0);
    CHECK(called == 2);
}

TEST_CASE("an operation that has not completed is not posted again") {
    numbers all;
    kaio::loop loop(1);
    std::array<char, 16> buffer;
    int called = 0;
    kaio::posted_operation operation([&](kaio::io_result) { ++called; });
    loop.post(kaio::read(all.file, buffer, 0), operation);
    CHECK(loop.try_post(kaio::read(all.file, buffer, 0), operation).error().value() == EBUSY);
    loop.poll(); // it is submitted now
    CHECK(loop.try_post(kaio::read(all.file, buffer, 0), operation, loop).error().value() == EBUSY);
    loop.run();
    CHECK(called == 1);
}

TEST_CASE("a handler may destroy its operation, in either loop") {
    numbers all;
    kaio::loop home(1);
    elsewhere other;
    std::array<char, 16> buffer;
    std::atomic<int> called{0};
    for (int i = 0; i < 200; ++i) {
        std::unique_ptr<any_operation> gone;
        gone = std::make_unique<any_operation>([&](kaio::io_result) {
            auto& count = called; // the closure goes with the operation
            gone.reset();
            ++count;
        });
        if (i % 2 == 0) {
            other.loop.post(kaio::read(all.file, buffer, 0), *gone, home);
            home.run();
        } else {
            other.loop.post(kaio::read(all.file, buffer, 0), *gone);
            while (called != i + 1) std::this_thread::yield();
        }
    }
    CHECK(called == 200);
}

TEST_CASE("destroying the other loop completes its requests, and their results come home") {
    test::temporary_file file(4096);
    kaio::loop home(1, sleeps_at_once);
    int const never = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    kaio::io_result polled(0), late(0);
    kaio::posted_operation poll([&](kaio::io_result result) { polled = result; });
    kaio::posted_operation read([&](kaio::io_result result) { late = result; });
    std::array<char, 16> buffer;
    auto other = std::make_unique<elsewhere>();
    other->loop.post(kaio::poll(never, POLLIN), poll, home);
    CHECK(home.run_for(5ms) == 0);
    std::thread ends([&] {
        other->stop();
        other.reset();
    });
    CHECK(home.run() == 1);
    ends.join();
    CHECK(polled.error().value() == ECANCELED);

    auto unused = std::make_unique<kaio::loop>(1);
    unused->post(kaio::read(file, buffer, 0), read, home);
    unused.reset(); // what it was posted is submitted, and never given to the kernel
    CHECK(home.run() == 1);
    CHECK(late.error().value() == ECANCELED);
    ::close(never);
}

TEST_CASE("destroying the home loop waits for what is elsewhere, and calls its handlers") {
    auto const spin_limit = GENERATE(kaio::duration::zero(), kaio::duration(100us));
    elsewhere other;
    kaio::io_result result(-1);
    kaio::posted_operation operation([&](kaio::io_result r) { result = r; });
    test::temporary_file file(4096);
    std::array<char, 16> buffer;
    for (int i = 0; i < 20; ++i) {
        result = kaio::io_result(-1);
        {
            kaio::loop home(1, {.spin_limit = spin_limit});
            other.loop.post(kaio::read(file, buffer, 0), operation, home);
            if (i % 2 == 0) home.poll();
        }
        REQUIRE(result.bytes() == 16);
    }
}

TEST_CASE("a home loop that was stopped has the result in its next run") {
    elsewhere other;
    kaio::loop home(1);
    int called = 0;
    auto const wait = [&]() -> kaio::task<> {
        co_await other.loop.post(kaio::after(2ms), home);
        ++called;
    };
    kaio::spawn(home, wait());
    home.stop();
    home.run();
    CHECK(called == 0);
    home.run();
    CHECK(called == 1);
}

TEST_CASE("a request that can't be posted says why, and is not on its way") {
    test::script script;
    using scripted_loop = kaio::basic_loop<test::scripted_kernel>;
    script.waker[1] = -EMFILE;
    script.waker[2] = -ENFILE;
    scripted_loop loop(1, {}, test::scripted_kernel(script));
    kaio::loop home(1);
    std::array<char, 16> buffer;
    {
        kaio::posted_operation operation([](kaio::io_result) {});
        CHECK(loop.try_post(kaio::read(0, buffer, 0), operation).error().value() == EMFILE);
        CHECK_THROWS_WITH(loop.post(kaio::read(0, buffer, 0), operation, home),
                          test::ContainsSubstring("kaio: loop.post"));
    }
    CHECK(home.run() == 0);
    kaio::loop from(1);
    kaio::loop to(std::move(from));
    auto const refused = [&]() -> kaio::task<int> {
        kaio::transfer_result const whole = co_await from.post(kaio::fully(kaio::read(0, buffer, 0)), home);
        kaio::io_result const one = co_await from.post(kaio::read(0, buffer, 0), home);
        co_return whole.error().value() == EINVAL&& one.error().value() == EINVAL;
    };
    CHECK(kaio::sync_wait(home, refused()) == 1);
}

TEST_CASE("a forked child may destroy what its parent has posted") {
    kaio::loop home(1), other(1);
    auto operation = std::make_unique<any_operation>([](kaio::io_result) {});
    std::array<char, 16> buffer;
    test::temporary_file file(4096);
    other.post(kaio::read(file, buffer, 0), *operation, home);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              operation.reset();
              return 7;
          }) == 7);
    CHECK(other.run() == 2); // the post, and what takes the result home
    CHECK(home.run() == 1);
}

TEST_CASE("destroying an operation on its way, or a coroutine that waits elsewhere, ends the program with a message") {
    auto const there = GENERATE(false, true);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::loop loop(1);
              kaio::posted_operation operation([](kaio::io_result) {});
              loop.post(kaio::poll(0, 0), operation);
              if (there) loop.poll();
              return 0;
          }) == 1000 + SIGABRT);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              ::close(STDERR_FILENO);
              kaio::loop loop(1);
              auto const wait = [&]() -> careless { (void)co_await loop.post(kaio::after(1h), loop); };
              careless const waits = wait();
              if (there) loop.poll();
              waits.frame.destroy();
              return 0;
          }) == 1000 + SIGABRT);
}
