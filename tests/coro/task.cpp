#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

kaio::task<int> value(int i) { co_return i; }
kaio::task<> nothing_much() { co_return; }
kaio::task<int&> reference(int& i) { co_return i; }
kaio::task<std::unique_ptr<int>> pointer(int i) { co_return std::make_unique<int>(i); }
kaio::task<int> thrower(const char* text) {
    throw std::runtime_error(text);
    co_return 0;
}
kaio::task<std::size_t> read_some(kaio::loop& loop, const test::temporary_file& file, std::int64_t offset) {
    std::vector<char> buffer(64);
    kaio::io_result const r = co_await loop.submit(kaio::read(file, buffer, offset));
    co_return r.bytes();
}
kaio::task<int> after_a_while(kaio::loop& loop, int i, kaio::duration delay) {
    co_await loop.sleep_for(delay);
    co_return i;
}

struct counted {
    explicit counted(int& alive) : alive_(&alive) { ++*alive_; }
    counted(counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
    ~counted() { --*alive_; }
    int* alive_;
};

} // namespace

TEST_CASE("a task gives values, references, move-only objects and exceptions, and runs only when it is awaited") {
    kaio::loop loop(4);
    int i = 1;
    CHECK(kaio::sync_wait(loop, value(7)) == 7);
    CHECK(&kaio::sync_wait(loop, reference(i)) == &i);
    CHECK(*kaio::sync_wait(loop, pointer(5)) == 5);
    kaio::sync_wait(loop, nothing_much());
    CHECK_THROWS_WITH(kaio::sync_wait(loop, thrower("from a task")), "from a task");

    bool ran = false;
    auto const lazy = [](bool& flag) -> kaio::task<> {
        flag = true;
        co_return;
    };
    { kaio::task<> unused = lazy(ran); }
    CHECK_FALSE(ran);
    kaio::task<> one = lazy(ran), two = std::move(one);
    CHECK_FALSE(one);
    REQUIRE(two);
    kaio::sync_wait(loop, std::move(two));
    CHECK(ran);
}

TEST_CASE("a coroutine awaits requests: the results are the kernel's") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    auto const all = [](kaio::loop& l, const test::temporary_file& f) -> kaio::task<> {
        CHECK(co_await read_some(l, f, 0) == 64);
        CHECK(co_await read_some(l, f, 4090) == 6);
        CHECK(co_await read_some(l, f, 5000) == 0);
        std::vector<char> buffer(16);
        kaio::io_result const refused = co_await l.submit(kaio::read(-1, buffer, 0));
        CHECK(refused.error() == std::errc::bad_file_descriptor);
        kaio::transfer_result const whole = co_await l.submit(kaio::fully(kaio::read(f, buffer, 4088)));
        CHECK(whole == kaio::transfer_result(8, 0));
        kaio::io_result const timed = co_await l.submit(kaio::after(1ms));
        CHECK(timed.res() == 0);
    };
    kaio::sync_wait(loop, all(loop, file));
    CHECK(loop.in_flight() + loop.waiting() == 0);
}

TEST_CASE("a million awaits of tasks and of requests that complete at once do not grow the stack") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    auto const tasks = [](int n) -> kaio::task<std::int64_t> {
        std::int64_t sum = 0;
        for (int i = 0; i < n; ++i) sum += co_await value(i);
        co_return sum;
    };
    CHECK(kaio::sync_wait(loop, tasks(1'000'000)) == 499'999'500'000);

    auto const reads = [](kaio::loop& l, const test::temporary_file& f, int n) -> kaio::task<int> {
        std::vector<char> buffer(8);
        int ok = 0;
        for (int i = 0; i < n; ++i) ok += (co_await l.submit(kaio::read(f, buffer, 0))).bytes() == 8;
        co_return ok;
    };
    CHECK(kaio::sync_wait(loop, reads(loop, file, 1'000'000)) == 1'000'000);
}

TEST_CASE("a task that is nested a thousand deep gives its value and its exception all the way up") {
    kaio::loop loop(4);
    struct deep {
        static kaio::task<int> down(kaio::loop& l, int n, bool fail) {
            if (n == 0) {
                co_await l.sleep_for(1ms);
                if (fail) throw std::runtime_error("deep");
                co_return 0;
            }
            int const below = co_await down(l, n - 1, fail);
            co_return below + 1;
        }
    };
    CHECK(kaio::sync_wait(loop, deep::down(loop, 1000, false)) == 1000);
    CHECK_THROWS_WITH(kaio::sync_wait(loop, deep::down(loop, 1000, true)), "deep");
}

TEST_CASE("what a task holds is destroyed, whether it ends, throws or never begins") {
    kaio::loop loop(4);
    int alive = 0;
    auto const holder = [](counted held, bool fail) -> kaio::task<counted> {
        if (fail) throw std::runtime_error("no");
        co_return std::move(held);
    };
    {
        counted const result = kaio::sync_wait(loop, holder(counted(alive), false));
        CHECK(alive == 1);
    }
    CHECK(alive == 0);
    CHECK_THROWS(kaio::sync_wait(loop, holder(counted(alive), true)));
    CHECK(alive == 0);
    { kaio::task<counted> const never = holder(counted(alive), false); }
    CHECK(alive == 0);
}

TEST_CASE("sync_wait runs the rest of the loop too, and throws another handler's exception when the task has ended") {
    kaio::loop loop(4);
    int handled = 0;
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++handled; });
    loop.submit(kaio::after(2ms), [](kaio::io_result) { throw std::runtime_error("handler"); });
    bool ended = false;
    auto const work = [](kaio::loop& l, bool& flag) -> kaio::task<> {
        co_await l.sleep_for(5ms);
        flag = true;
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, work(loop, ended)), "handler");
    CHECK(ended);
    CHECK(handled == 1);

    loop.submit(kaio::after(1h), [](kaio::io_result) {}); // does not keep it
    CHECK(kaio::sync_wait(loop, after_a_while(loop, 3, 1ms)) == 3);
    CHECK(loop.timers() == 1);
}

TEST_CASE("sync_wait waits for what another thread posts") {
    kaio::loop loop(4);
    struct signal {
        std::coroutine_handle<> waiting = nullptr;
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> frame) noexcept { waiting = frame; }
        void await_resume() const noexcept {}
    } signal;
    auto const wait = [](auto& s) -> kaio::task<int> {
        co_await s;
        co_return 9;
    };
    std::thread other([&] { loop.post([&] { signal.waiting.resume(); }); });
    CHECK(kaio::sync_wait(loop, wait(signal)) == 9);
    other.join();
}

TEST_CASE("spawned tasks: run waits for them, and their exceptions leave it") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    std::size_t bytes = 0;
    auto const reader = [](kaio::loop& l, const test::temporary_file& f, std::size_t& sum) -> kaio::task<> {
        for (int i = 0; i < 10; ++i) sum += co_await read_some(l, f, i);
    };
    for (int i = 0; i < 20; ++i) kaio::spawn(loop, reader(loop, file, bytes));
    loop.run();
    CHECK(bytes == 20 * 10 * 64);

    kaio::spawn(loop, value(3)); // what it gives is dropped
    kaio::spawn(loop, thrower("spawned"));
    kaio::spawn(loop, after_a_while(loop, 1, 2ms));
    CHECK_THROWS_WITH(loop.run(), "spawned");
    auto const started = std::chrono::steady_clock::now();
    loop.run();
    CHECK(std::chrono::steady_clock::now() - started < 10s);
    CHECK(loop.timers() == 0);
}

TEST_CASE("destroying a loop ends spawned tasks: their requests complete or are cancelled") {
    std::vector<std::int64_t> results;
    test::temporary_file file(4096);
    auto const work = [](kaio::loop& l, const test::temporary_file& f, std::vector<std::int64_t>& out) -> kaio::task<> {
        std::vector<char> buffer(64);
        out.push_back((co_await l.submit(kaio::read(f, buffer, 0))).res());
        out.push_back((co_await l.sleep_for(1h)).res());
        out.push_back((co_await l.submit(kaio::read(f, buffer, 0))).res());
    };
    {
        kaio::loop loop(4);
        kaio::spawn(loop, work(loop, file, results));
        loop.poll();
        CHECK(loop.timers() == 1);
    }
    CHECK(results == std::vector<std::int64_t>{64, -ECANCELED, -ECANCELED});
}

TEST_CASE("an exception that leaves a spawned task while its loop is being destroyed is dropped") {
    bool reached = false;
    auto const work = [](kaio::loop& l, bool& there) -> kaio::task<> {
        kaio::io_result const r = co_await l.sleep_for(1h);
        there = true;
        if (!r) throw std::system_error(r.error());
    };
    {
        kaio::loop loop(4);
        kaio::spawn(loop, work(loop, reached));
        loop.poll();
    }
    CHECK(reached);
}

TEST_CASE("an awaited poll can be cancelled by its name") {
    kaio::loop loop(4);
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    auto const work = [](kaio::loop& l, int fd) -> kaio::task<std::int64_t> {
        auto readable = l.submit(kaio::poll(fd, 1));
        l.submit(kaio::after(2ms), [&](kaio::io_result) { CHECK(l.cancel(readable)); });
        kaio::io_result const r = co_await readable;
        co_return r.res();
    };
    CHECK(kaio::sync_wait(loop, work(loop, pipe[0])) == -ECANCELED);
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_CASE("destroying a coroutine that waits for a request ends the program with a message") {
    struct careless { // a coroutine type that lets its frame be destroyed at any time, as task does not
        struct promise_type {
            careless get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_always final_suspend() const noexcept { return {}; }
            void return_void() const noexcept {}
            void unhandled_exception() const noexcept { std::abort(); }
        };
        std::coroutine_handle<promise_type> frame;
    };
    int const status = test::in_child([] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::close(STDERR_FILENO);
        kaio::loop loop(4);
        auto const wait = [](kaio::loop& l) -> careless { (void)co_await l.sleep_for(1h); };
        wait(loop).frame.destroy();
        return 0;
    });
    CHECK(status == 1000 + SIGABRT);
    CHECK(test::in_child([] { // and awaiting no task does, too
              std::signal(SIGABRT, SIG_DFL);
              ::close(STDERR_FILENO);
              kaio::loop loop(4);
              kaio::task<int> one = value(1), other = std::move(one);
              return kaio::sync_wait(loop, std::move(one));
          }) == 1000 + SIGABRT);
}

TEST_CASE("a coroutine that yields again and again does not keep sync_wait from its read") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    bool finished = false;
    unsigned yields = 0;
    auto const background = [&]() -> kaio::task<> {
        while (!finished && ++yields < 1000) co_await loop.sleep_for(0ms);
    };
    kaio::spawn(loop, background());
    CHECK(kaio::sync_wait(loop, read_some(loop, file, 0)) == 64);
    finished = true;
    CHECK(yields < 10);
    loop.run();
}

TEST_CASE("run inside a coroutine returns when all else has ended, although the coroutine itself has not") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    int ended = 0;
    auto const work = [&](bool at_once) -> kaio::task<> {
        if (!at_once) (void)co_await read_some(loop, file, 0);
        std::vector<char> buffer(64);
        loop.submit(kaio::read(file, buffer, 64), [&](kaio::io_result r) { ended += r.bytes() == 64; });
        loop.run();
        CHECK(loop.in_flight() == 0);
        ++ended;
    };
    for (bool const at_once : {false, true}) {
        kaio::sync_wait(loop, work(at_once));
        kaio::spawn(loop, work(at_once));
        loop.run();
    }
    CHECK(ended == 8);
    loop.submit(kaio::after(0ms), [&](kaio::io_result) { kaio::sync_wait(loop, work(false)); });
    loop.run();
    CHECK(ended == 10);
}

// Coroutine types as other libraries have them: each does something else with what is awaited before it awaits it.
template <class Awaiter> struct kept { // in an object of its own, to resume on an executor, say
    Awaiter inner;
    bool await_ready() { return inner.await_ready(); }
    template <class Promise> auto await_suspend(std::coroutine_handle<Promise> frame) {
        return inner.await_suspend(std::coroutine_handle<>(frame)); // of which the promise is not known
    }
    decltype(auto) await_resume() { return inner.await_resume(); }
};
struct keeping {
    template <class T> static auto transform(T&& what) { return kept<std::remove_cvref_t<T>>{std::forward<T>(what)}; }
};
struct forwarding {
    template <class T> static T&& transform(T&& what) { return std::forward<T>(what); }
};
struct on_the_heap {
    template <class T> static auto transform(T&& what) {
        struct owner {
            std::unique_ptr<std::remove_cvref_t<T>> inner;
            bool await_ready() { return inner->await_ready(); }
            void await_suspend(std::coroutine_handle<> frame) { inner->await_suspend(frame); }
            decltype(auto) await_resume() { return inner->await_resume(); }
        };
        return owner{std::make_unique<std::remove_cvref_t<T>>(std::forward<T>(what))};
    }
};
template <class Way> struct foreign {
    struct promise_type {
        foreign get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::abort(); }
        template <class T> decltype(auto) await_transform(T&& what) { return Way::transform(std::forward<T>(what)); }
    };
};

TEMPLATE_TEST_CASE("requests, whole transfers and timers can be awaited in any coroutine type", "", keeping, forwarding,
                   on_the_heap) {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    std::size_t bytes = 0;
    auto const work = [&]() -> foreign<TestType> {
        std::vector<char> buffer(64);
        kaio::io_result const part = co_await loop.submit(kaio::read(file, buffer, 0));
        kaio::transfer_result const whole = co_await loop.submit(kaio::fully(kaio::read(file, buffer, 0)));
        kaio::io_result const slept = co_await loop.sleep_for(1ms);
        auto later = loop.submit(kaio::read(file, buffer, 4000));
        kaio::io_result const moved = co_await std::move(later);
        bytes = part.bytes() + whole.bytes() + moved.bytes() + (slept ? 1000 : 0);
    };
    work();
    loop.run();
    CHECK(bytes == 64 + 64 + 64 + 1000);
}

TEST_CASE("in a forked child the frame of a coroutine that waits may be destroyed: the request is the parent's") {
    struct owned { // a coroutine type that destroys its frame at any time
        struct promise_type {
            owned get_return_object() { return owned(std::coroutine_handle<promise_type>::from_promise(*this)); }
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_always final_suspend() const noexcept { return {}; }
            void return_void() const noexcept {}
            void unhandled_exception() const noexcept { std::abort(); }
        };
        explicit owned(std::coroutine_handle<promise_type> made) : frame(made) {}
        owned(owned&& other) noexcept : frame(std::exchange(other.frame, nullptr)) {}
        ~owned() {
            if (frame) frame.destroy();
        }
        std::coroutine_handle<promise_type> frame;
    };
    auto loop = std::make_unique<kaio::loop>(4);
    auto const wait = [](kaio::loop& l) -> owned { (void)co_await l.sleep_for(1ms); };
    auto const read = [](kaio::loop& l, int fd) -> owned { (void)co_await l.submit(kaio::poll(fd, 1)); };
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    auto timer = std::make_unique<owned>(wait(*loop));
    auto poll = std::make_unique<owned>(read(*loop, pipe[0]));
    loop->flush();
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              kaio::loop own(1); // a loop of the child's own makes no difference
              timer.reset();
              loop.reset();
              poll.reset();
              return 0;
          }) == 0);
    loop.reset();
    ::close(pipe[0]);
    ::close(pipe[1]);
}

TEST_CASE("when_all runs tasks side by side, and gives all that they give") {
    kaio::loop loop(4);
    int n = 4;
    auto const started = std::chrono::steady_clock::now();
    auto [a, b, c, d] =
        kaio::sync_wait(loop, kaio::when_all(after_a_while(loop, 1, 20ms), nothing_much(), pointer(3), reference(n)));
    CHECK(std::chrono::steady_clock::now() - started >= 20ms);
    CHECK(a == 1);
    CHECK(b == kaio::nothing());
    CHECK(*c == 3);
    CHECK(&d == &n);
    (void)kaio::sync_wait(loop, kaio::when_all());
    auto const [e, f] = kaio::sync_wait(loop, kaio::when_all(after_a_while(loop, 5, 0ms), reference(n)));
    CHECK(e == 5);
    CHECK(&f == &n);

    std::vector<kaio::task<int>> many;
    for (int i = 0; i < 100; ++i) many.push_back(after_a_while(loop, i, std::chrono::milliseconds(i % 7)));
    std::vector<int> const got = kaio::sync_wait(loop, kaio::when_all(std::move(many)));
    std::vector<int> wanted(100);
    std::iota(wanted.begin(), wanted.end(), 0);
    CHECK(got == wanted);
    kaio::sync_wait(loop, kaio::when_all(std::vector<kaio::task<>>()));
}

TEST_CASE("when_all throws the first exception when all have ended") {
    kaio::loop loop(4);
    int ended = 0;
    auto const work = [](kaio::loop& l, int& count, const char* text, kaio::duration delay) -> kaio::task<> {
        co_await l.sleep_for(delay);
        ++count;
        if (text) throw std::runtime_error(text);
    };
    CHECK_THROWS_WITH(
        kaio::sync_wait(loop, kaio::when_all(work(loop, ended, nullptr, 1ms), work(loop, ended, "b", 4ms),
                                             work(loop, ended, "c", 2ms), work(loop, ended, nullptr, 6ms))),
        "b");
    CHECK(ended == 4);
}

TEST_CASE("for_each_concurrent keeps so many in flight, does each once, and stops at an exception") {
    test::temporary_file file(4096);
    kaio::loop loop(32);
    std::vector<int> elements(100), done;
    std::iota(elements.begin(), elements.end(), 0);
    std::size_t const limit = GENERATE(1u, 3u, 16u, 1000u);
    std::size_t now = 0, most = 0;
    auto const one = [&](int i) -> kaio::task<> {
        most = std::max(most, ++now);
        co_await loop.sleep_for(std::chrono::microseconds(i * 37 % 100));
        done.push_back(i);
        --now;
    };
    kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, one));
    CHECK(most == std::min<std::size_t>(limit, 100));
    std::sort(done.begin(), done.end());
    CHECK(done == elements);

    std::size_t bytes = 0;
    kaio::sync_wait(loop, kaio::for_each_concurrent(
                              std::vector<std::int64_t>{0, 64, 128}, limit,
                              [&](std::int64_t at) -> kaio::task<> { bytes += co_await read_some(loop, file, at); }));
    CHECK(bytes == 3 * 64);
    kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, [](int) { return std::suspend_never(); }));

    done.clear();
    auto const failing = [&](int i) -> kaio::task<> {
        co_await loop.sleep_for(100us);
        done.push_back(i);
        if (i == 10) throw std::runtime_error("ten");
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, kaio::for_each_concurrent(elements, limit, failing)), "ten");
    CHECK(done.size() <= std::min<std::size_t>(11 + limit, 100));
    CHECK(loop.timers() == 0);
}
