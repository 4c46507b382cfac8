#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <coroutine>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

// Something to await that the loop knows nothing of.
struct event {
    std::coroutine_handle<> coroutine = nullptr;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> awaiting) noexcept { coroutine = awaiting; }
    void await_resume() const noexcept {}
};

} // namespace

TEST_CASE("sync_wait runs other handlers too, and throws what they throw when the task has finished") {
    kaio::loop loop(4);
    int handled = 0;
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++handled; });
    loop.submit(kaio::after(2ms), [](kaio::io_result) { throw std::runtime_error("handler"); });
    bool finished = false;
    auto const work = [](kaio::loop& l, bool& flag) -> kaio::task<> {
        co_await l.sleep_for(5ms);
        flag = true;
    };
    CHECK_THROWS_WITH(kaio::sync_wait(loop, work(loop, finished)), "handler");
    CHECK(finished);
    CHECK(handled == 1);
}

TEST_CASE("sync_wait returns when its task has finished, although other timers have not expired") {
    kaio::loop loop(4);
    loop.submit(kaio::after(1h), [](kaio::io_result) {});
    CHECK(kaio::sync_wait(loop, test::after_a_while(loop, 3, 1ms)) == 3);
    CHECK(loop.timers() == 1);
}

TEST_CASE("sync_wait gives what tasks submit to the kernel in batches") {
    using counting_loop = kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>;
    constexpr unsigned tasks = 16;
    constexpr unsigned rounds = 10;
    auto const null = kaio::file::open("/dev/null", O_RDWR);
    kaio::aligned_buffer const buffer(4096);
    counting_loop loop(tasks);
    auto const write = [](counting_loop& l, const kaio::file& file, const kaio::aligned_buffer& b) -> kaio::task<> {
        for (unsigned i = 0; i < rounds; ++i) (void)co_await l.submit(kaio::write(file, b, 0));
    };
    std::vector<kaio::task<>> all;
    for (unsigned i = 0; i < tasks; ++i) all.push_back(write(loop, null, buffer));
    kaio::sync_wait(loop, kaio::when_all(std::move(all)));
    CHECK(loop.observer().submissions == tasks * rounds);
    CHECK(loop.observer().batches == rounds); // /dev/null completes inside io_submit, so all of a batch come together
}

TEST_CASE("sync_wait goes on after stop") {
    kaio::loop loop(4);
    loop.submit(kaio::after(0ms), [&](kaio::io_result) { loop.stop(); });
    CHECK(kaio::sync_wait(loop, test::after_a_while(loop, 3, 1ms)) == 3);
}

TEST_CASE("sync_wait throws EINVAL for a loop that was moved from, and the task may still finish") {
    kaio::loop loop(4);
    kaio::loop const other = std::move(loop);
    event never;
    auto const wait = [](event& e) -> kaio::task<> { co_await e; };
    try {
        kaio::sync_wait(loop, wait(never));
        FAIL("it did not throw");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::invalid_argument);
    }
    REQUIRE(never.coroutine);
    never.coroutine.resume(); // to the task's end
    CHECK(never.coroutine.done());
    never.coroutine.destroy();
}

TEST_CASE("sync_wait waits for what another thread posts") {
    kaio::loop loop(4);
    event posted;
    auto const wait = [](event& e) -> kaio::task<int> {
        co_await e;
        co_return 9;
    };
    std::thread other([&] { loop.post([&] { posted.coroutine.resume(); }); });
    CHECK(kaio::sync_wait(loop, wait(posted)) == 9);
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

TEST_CASE("run inside a coroutine returns when all else has finished, although the coroutine itself has not") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    int finished = 0;
    auto const work = [&](bool at_once) -> kaio::task<> {
        if (!at_once) (void)co_await test::read_some(loop, file, 0);
        std::vector<char> buffer(64);
        loop.submit(kaio::read(file, buffer, 64), [&](kaio::io_result r) { finished += r.bytes() == 64; });
        loop.run();
        CHECK(loop.in_flight() == 0);
        ++finished;
    };
    for (bool const at_once : {false, true}) {
        kaio::sync_wait(loop, work(at_once));
        kaio::spawn(loop, work(at_once));
        loop.run();
    }
    CHECK(finished == 8);
    loop.submit(kaio::after(0ms), [&](kaio::io_result) { kaio::sync_wait(loop, work(false)); });
    loop.run();
    CHECK(finished == 10);
}
