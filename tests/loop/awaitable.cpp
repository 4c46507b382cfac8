#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <coroutine>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("a coroutine awaits requests: the results are the kernel's") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    auto const all = [](kaio::loop& l, const test::temporary_file& f) -> kaio::task<> {
        CHECK(co_await test::read_some(l, f, 0) == 64);
        CHECK(co_await test::read_some(l, f, 4090) == 6);
        CHECK(co_await test::read_some(l, f, 5000) == 0);
        std::vector<char> buffer(16);
        kaio::io_result const refused = co_await l.submit(kaio::read(-1, buffer, 0));
        CHECK(refused.error() == std::errc::bad_file_descriptor);
        kaio::transfer_result const whole = co_await l.submit(kaio::fully(kaio::read(f, buffer, 4088)));
        CHECK(whole == kaio::transfer_result(8, 0));
        kaio::io_result const timed = co_await l.submit(kaio::after(1ms));
        CHECK(timed.res() == 0);
    };
    kaio::sync_wait(loop, all(loop, file));
    CHECK(loop.in_flight() + loop.queued() == 0);
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
