#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <coroutine>
#include <stdexcept>
#include <thread>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

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
    CHECK(kaio::sync_wait(loop, test::after_a_while(loop, 3, 1ms)) == 3);
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

TEST_CASE("a coroutine that yields again and again does not keep sync_wait from its read") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    bool finished = false;
    unsigned yields = 0;
    auto const background = [&]() -> kaio::task<> {
        while (!finished && ++yields < 1000) co_await loop.sleep_for(0ms);
    };
    kaio::spawn(loop, background());
    CHECK(kaio::sync_wait(loop, test::read_some(loop, file, 0)) == 64);
    finished = true;
    CHECK(yields < 10);
    loop.run();
}

TEST_CASE("run inside a coroutine returns when all else has ended, although the coroutine itself has not") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    int ended = 0;
    auto const work = [&](bool at_once) -> kaio::task<> {
        if (!at_once) (void)co_await test::read_some(loop, file, 0);
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
