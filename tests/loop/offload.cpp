#include "coro/coroutines.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/stepped_team.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/loop/offload.hpp>

using namespace std::chrono_literals;

namespace {

using thread_id = std::thread::id;
thread_id this_thread() { return std::this_thread::get_id(); }

// Blocks whoever takes a letter until one is put.
struct pipe_ends {
    int ends[2];

    pipe_ends() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() {
        ::close(ends[0]);
        ::close(ends[1]);
    }

    char take() const {
        char letter = 0;
        return ::read(ends[0], &letter, 1) == 1 ? letter : '?';
    }
    void put(char letter) const { (void)!::write(ends[1], &letter, 1); }
};

} // namespace

TEST_CASE("a function runs on a helper, and its result comes back inside run, in the loop's thread") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    thread_id ran_in, heard_in;
    loop.offload(
        [&] {
            ran_in = this_thread();
            return 42;
        },
        [&](kaio::offload_result<int> result) {
            heard_in = this_thread();
            CHECK(result);
            CHECK(result.value() == 42);
        });
    CHECK(loop.offloads() == 1);
    CHECK(loop.run() == 1);
    CHECK(loop.offloads() == 0);
    CHECK(ran_in != thread_id());
    CHECK(ran_in != this_thread());
    CHECK(heard_in == this_thread());
}

TEST_CASE(
    "a coroutine gets what its function returns: a value, a reference, something that can only be moved, nothing") {
    kaio::helpers helpers(2);
    kaio::loop loop(4, helpers);
    bool done = false;
    auto const work = [&]() -> test::free_running {
        int number = 1;
        int const value = co_await loop.offload([&] { return number + 1; });
        CHECK(value == 2);
        int& reference = co_await loop.offload([&]() -> int& { return number; });
        CHECK(&reference == &number);
        int&& expiring = co_await loop.offload([&]() -> int&& { return std::move(number); });
        CHECK(&expiring == &number);
        auto function = [owner = std::make_unique<int>(7)]() mutable { return std::move(owner); };
        std::unique_ptr<int> const owned = co_await loop.offload(std::move(function));
        CHECK(*owned == 7);
        co_await loop.offload([&] { number = 3; });
        CHECK(number == 3);
        std::string const constant = co_await loop.offload([]() -> const std::string { return std::string(100, 'x'); });
        CHECK(constant.size() == 100);
        done = true;
    };
    work();
    loop.run();
    CHECK(done);
}

#if defined(__cpp_exceptions)
TEST_CASE("what the function throws is thrown where its result is taken") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    std::vector<std::string> thrown;
    auto const fails = [](const char* text) { return [text]() -> int { throw std::runtime_error(text); }; };
    auto const work = [&]() -> test::free_running {
        try {
            (void)co_await loop.offload(fails("awaited"));
        } catch (const std::runtime_error& error) {
            thrown.push_back(error.what());
        }
    };
    work();
    loop.run();
    loop.offload(fails("handled"), [&](kaio::offload_result<int> result) {
        CHECK_FALSE(result);
        try {
            (void)result.value();
        } catch (const std::runtime_error& error) {
            thrown.push_back(error.what());
        }
    });
    loop.run();
    CHECK(thrown == std::vector<std::string>{"awaited", "handled"});
}

TEST_CASE("what the handler throws leaves run, and the loop goes on") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    int heard = 0;
    auto const throws = [&](kaio::offload_result<void>) {
        ++heard;
        throw std::runtime_error("handler");
    };
    loop.offload([] {}, throws);
    loop.offload([] {}, throws);
    CHECK_THROWS_AS(loop.run(), std::runtime_error);
    CHECK_THROWS_AS(loop.run(), std::runtime_error);
    CHECK(loop.run() == 0);
    CHECK(heard == 2);
}
#endif

TEST_CASE("functions begin in order, and as many run at once as there are helpers") {
    kaio::helpers helpers(3);
    kaio::loop loop(4, helpers);
    pipe_ends const begun, go;
    std::string order;
    for (char letter : std::string("abc"))
        loop.offload(
            [&begun, &go, letter] {
                begun.put(letter);
                go.take();
            },
            [](kaio::offload_result<void>) {});
    loop.offload([] {}, [&](kaio::offload_result<void>) { order += 'd'; });
    while (order.size() < 3) order += begun.take(); // all three are inside
    CHECK(loop.poll() == 0);
    go.put(1), go.put(1), go.put(1);
    loop.run();
    CHECK(order.size() == 4);
    CHECK(order.back() == 'd');

    kaio::helpers one;
    kaio::loop serial(4, one);
    std::string begins, ends;
    for (char letter = 'a'; letter <= 'z'; ++letter)
        serial.offload([&begins, letter] { begins += letter; },
                       [&ends, letter](kaio::offload_result<void>) { ends += letter; });
    CHECK(serial.run() == 26);
    CHECK(begins == "abcdefghijklmnopqrstuvwxyz");
    CHECK(ends == begins);
}

TEST_CASE("a loop that sleeps is woken, and serves others while a function blocks") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers, {.spin_limit = kaio::duration::zero()});
    pipe_ends const pipe;
    std::string order;
    loop.offload([&] { return pipe.take(); }, [&](kaio::offload_result<char> letter) { order += letter.value(); });
    loop.submit(kaio::after(20ms), [&](kaio::io_result) {
        order += "timer ";
        pipe.put('x');
    });
    loop.run();
    CHECK(order == "timer x");
}

TEST_CASE("an observer counts what is offloaded") {
    kaio::helpers helpers;
    kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters> loop(4, helpers);
    for (int i = 0; i < 3; ++i) loop.offload([] { return 0; }, [](auto) {});
    loop.run();
    CHECK(loop.observer().offloads == 3);
    CHECK(loop.observer().submissions == 0);
}

TEST_CASE("in a loop without helpers the function runs at once, and its result still comes back inside run") {
    kaio::loop loop(4);
    std::string order;
    loop.offload(
        [&] {
            order += "function ";
            return this_thread();
        },
        [&](kaio::offload_result<thread_id> ran_in) {
            order += "handler ";
            CHECK(ran_in.value() == this_thread());
            loop.offload([&] { order += "again "; }, [&](kaio::offload_result<void>) { order += "heard"; });
        });
    CHECK(order == "function ");
    CHECK(loop.poll() == 1);
    CHECK(order == "function handler again ");
    CHECK(loop.run() == 1);
    CHECK(order == "function handler again heard");
}

TEST_CASE("where no helper can be had, the loop's thread runs the function") {
    test::stepped_team team;
    kaio::loop loop(4, team);
    std::string order;
    auto const submit = [&](char letter) {
        loop.offload([&order, letter] { order += letter; }, [&](kaio::offload_result<void>) { order += '.'; });
    };
    submit('a');
    submit('b'); // behind it
    CHECK(team.jobs() == 1);
    team.works = false;
    submit('c');
    CHECK(order.empty());
    team.step(); // can't pass the rest on
    CHECK(order == "abc");
    submit('d');
    CHECK(order == "abcd");
    CHECK(loop.run() == 4);
    CHECK(order == "abcd....");
}

TEST_CASE("destroying a loop runs what is offloaded and hands it back, once each") {
    unsigned const threads = GENERATE(1u, 3u);
    pipe_ends const pipe;
    std::vector<int> ran, heard;
    bool late = false, resumed = false;
    {
        kaio::helpers helpers(threads);
        kaio::loop loop(4, helpers);
        loop.offload([&] { return pipe.take(); },
                     [&](kaio::offload_result<char> letter) { CHECK(letter.value() == 'x'); });
        loop.submit(kaio::after(1h), [&](kaio::io_result) { pipe.put('x'); }); // ECANCELED, by the destructor
        for (int i = 0; i < 10; ++i)
            loop.offload([i] { return i; },
                         [&](kaio::offload_result<int> result) {
                             heard.push_back(result.value());
                             if (heard.size() == 10)
                                 loop.offload([] {}, [&](kaio::offload_result<void>) { late = true; });
                         });
        auto const work = [](kaio::loop& io_loop, bool& done) -> test::free_running {
            done = co_await io_loop.offload([] { return true; });
        };
        work(loop, resumed);
    }
    std::sort(heard.begin(), heard.end());
    CHECK(heard == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    CHECK(late);
    CHECK(resumed);
}

namespace {

// Every wait fails.
struct sleepless : kaio::linux_kernel {
    static long io_getevents(kaio::aio_context_id, long, long, kaio::io_event*, const kaio::kernel_timespec*) noexcept {
        return -ENOMEM;
    }
};

} // namespace

TEST_CASE("a loop that can't wait any more still hands back what is offloaded when it is destroyed") {
    pipe_ends const pipe;
    char heard = 0;
    std::thread putter([&] {
        std::this_thread::sleep_for(50ms);
        pipe.put('x');
    });
    {
        kaio::helpers helpers;
        kaio::basic_loop<sleepless> loop(4, helpers);
        loop.offload([&] { return pipe.take(); }, [&](kaio::offload_result<char> letter) { heard = letter.value(); });
    }
    putter.join();
    CHECK(heard == 'x');
}

TEST_CASE("a loop that was moved from takes no function") {
    kaio::loop loop(4);
    kaio::loop const taken(std::move(loop));
    auto const error = loop.try_offload([] { FAIL(); }, [](kaio::offload_result<void>) { FAIL(); }).error();
    CHECK(error == std::errc::invalid_argument);
    CHECK_THROWS_AS(loop.offload([] {}, [](kaio::offload_result<void>) {}), std::system_error);
}

TEST_CASE("a forked child has nothing to do with what its parent has offloaded, and offloads nothing") {
    bool const with_helpers = GENERATE(true, false);
    kaio::helpers helpers;
    std::unique_ptr<kaio::loop> loop(with_helpers ? new kaio::loop(4, helpers) : new kaio::loop(4));
    pipe_ends const pipe;
    int ran = 0, heard = 0;
    auto const waits = [&]() -> test::owned_coroutine {
        heard += co_await loop->offload([&] {
            __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
            return with_helpers ? pipe.take() : 'x';
        });
    };
    auto coroutine = waits();
    CHECK(test::in_child([&] {
              int const before = __atomic_load_n(&ran, __ATOMIC_RELAXED);
              auto const late = waits();
              bool const quiet = __atomic_load_n(&ran, __ATOMIC_RELAXED) == before;
              bool const refused = !loop->try_offload([] {}, [](kaio::offload_result<void>) {});
              loop.reset();
              coroutine.reset();
              return quiet && refused && heard == 0 ? 0 : 1;
          }) == 0);
    pipe.put('x');
    loop->run();
    CHECK(heard == 'x');
}

TEST_CASE("a coroutine that is destroyed while its function runs ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::loop loop(4);
              auto const waits = [&]() -> test::owned_coroutine { co_await loop.offload([] {}); };
              auto coroutine = waits();
              coroutine.reset();
              return 0;
          }) == 1000 + SIGABRT);
}

TEST_CASE("a notifier's descriptor is readable when an offloaded function has run") {
    bool const with_helpers = GENERATE(true, false);
    kaio::helpers helpers;
    kaio::loop loop = with_helpers ? kaio::loop(4, helpers) : kaio::loop(4);
    kaio::notifier notifier(loop);
    notifier.update(); // the loop is prepared to wait
    bool heard = false;
    loop.offload([] {}, [&](kaio::offload_result<void>) { heard = true; });
    for (int polls = 0; polls < 100 && !heard; ++polls) {
        pollfd ready = {notifier.fd(), POLLIN, 0};
        REQUIRE(::poll(&ready, 1, 10'000) == 1);
        notifier.poll();
    }
    CHECK(heard);
}

TEST_CASE("a request_scope waits for what is offloaded through it, open or closed") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    pipe_ends const pipe;
    std::string order;
    {
        kaio::request_scope scope(loop);
        scope.offload([&] { return pipe.take(); },
                      [&](kaio::offload_result<char> letter) {
                          order += letter.value();
                          scope.offload([] {}, [&](kaio::offload_result<void>) { order += " late"; });
                      });
        CHECK(scope.pending() == 1);
        auto const work = [](kaio::request_scope& of, std::string& to) -> kaio::task<> {
            to += co_await of.offload([] { return 'y'; });
        };
        kaio::spawn(scope, work(scope, order));
        pipe.put('x');
    }
    CHECK(order.size() == 7);
    CHECK(order.find(" late") == order.size() - 5);
}

TEST_CASE("loops that share helpers, with functions of coroutines and handlers: each comes back once") {
    kaio::helpers helpers(3);
    for (int round = 0; round < 40; ++round) {
        int awaited = 0, handled = 0;
        auto const work = [&](kaio::loop& loop) -> test::free_running {
            for (int i = 0; i < 50; ++i) {
                awaited += co_await loop.offload([] { return 1; });
                loop.offload([] { return 1; }, [&](kaio::offload_result<int> result) { handled += result.value(); });
            }
        };
        {
            kaio::loop one(8, helpers), two(8, helpers);
            for (int i = 0; i < 4; ++i) work(i % 2 ? one : two);
            if (round % 2) one.run(); // else all is left to the destructors
        }
        REQUIRE(awaited == 200);
        REQUIRE(handled == 200);
    }
}
