#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <exception>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

// A foreign loop of the simplest kind.
struct epoll {
    int const fd = ::epoll_create1(EPOLL_CLOEXEC);
    explicit epoll(int watched, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        ::epoll_ctl(fd, EPOLL_CTL_ADD, watched, &event);
    }
    ~epoll() { ::close(fd); }

    bool wait(std::chrono::milliseconds limit) const {
        epoll_event event{};
        return ::epoll_wait(fd, &event, 1, static_cast<int>(limit.count())) == 1;
    }
};

// Other threads' io_submit, which is what wakes a loop, is refused, but only when the test says so.
struct reluctant_kernel : kaio::linux_kernel {
    static inline std::binary_semaphore entered{0}, refuse{0};
    static inline std::thread::id owner;

    static long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) noexcept {
        if (std::this_thread::get_id() == owner) return linux_kernel::io_submit(id, count, batch);
        entered.release();
        refuse.acquire();
        return -EAGAIN;
    }
};

constexpr auto long_enough = 10'000ms; // for what must come
constexpr auto moment = 20ms;          // for what must not

} // namespace

TEST_CASE("a foreign loop hears of completions, timers and posts, and of nothing else") {
    auto const trigger = GENERATE(EPOLLIN + 0u, EPOLLIN | EPOLLET);
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), trigger);
    CHECK_FALSE(foreign.wait(moment));

    int reads = 0, timers = 0, posts = 0;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += r.bytes() == 64; });
    CHECK_FALSE(foreign.wait(moment)); // not given to the kernel yet
    notifier.update();
    REQUIRE(foreign.wait(long_enough));
    CHECK(notifier.poll() == 1);
    CHECK(reads == 1);
    CHECK_FALSE(foreign.wait(moment));

    loop.submit(kaio::after(5ms), [&](kaio::io_result) { ++timers; });
    notifier.update();
    while (timers == 0 && foreign.wait(long_enough)) notifier.poll();
    CHECK(timers == 1);
    CHECK_FALSE(foreign.wait(moment));

    std::thread other([&] { loop.post([&] { ++posts; }); });
    while (posts == 0 && foreign.wait(long_enough)) notifier.poll();
    other.join();
    CHECK(posts == 1);
    while (foreign.wait(moment)) CHECK(notifier.poll() == 0); // the wake's own event
}

TEST_CASE("a request that completes later, while nobody calls the loop, is heard") {
    int const ready = ::eventfd(0, EFD_CLOEXEC);
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN);
    int heard = 0;
    loop.submit(kaio::poll(ready, EPOLLIN), [&](kaio::io_result r) { heard = r.poll_events(); });
    notifier.update();
    CHECK_FALSE(foreign.wait(moment));
    ::eventfd_write(ready, 1);
    REQUIRE(foreign.wait(long_enough));
    CHECK(notifier.poll() == 1);
    CHECK(heard == EPOLLIN);
    ::close(ready);
}

TEST_CASE("a foreign loop drives many requests, beyond the capacity, from handlers and coroutines") {
    test::temporary_file file(4096);
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN | EPOLLET);
    bool done = false;
    std::size_t bytes = 0;
    auto const work = [](kaio::loop& l, const test::temporary_file& f, std::size_t& sum, bool& ended) -> kaio::task<> {
        std::vector<int> const elements(500);
        co_await kaio::for_each_concurrent(elements, 50, [&](int) -> kaio::task<> {
            std::vector<char> buffer(64);
            sum += (co_await l.submit(kaio::read(f, buffer, 0))).bytes();
            co_await l.sleep_for(100us);
        });
        ended = true;
    };
    kaio::spawn(loop, work(loop, file, bytes, done));
    notifier.update();
    while (!done && foreign.wait(long_enough)) notifier.poll();
    CHECK(done);
    CHECK(bytes == 500 * 64);
}

TEST_CASE("posts from other threads to a foreign loop, thousands of them, are all heard") {
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN | EPOLLET);
    constexpr int threads = 3, posts = 3000;
    int called = 0;
    std::vector<std::thread> others;
    for (int t = 0; t < threads; ++t)
        others.emplace_back([&] {
            for (int i = 0; i < posts; ++i) loop.post([&] { ++called; });
        });
    while (called < threads * posts && foreign.wait(long_enough)) notifier.poll();
    for (auto& other : others) other.join();
    CHECK(called == threads * posts);
}

TEST_CASE("a post that relies on another's wake is heard although that wake fails") {
    using loop_type = kaio::basic_loop<reluctant_kernel>;
    reluctant_kernel::owner = std::this_thread::get_id();
    loop_type loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN);
    int called = 0;
    bool woken = true;
    std::thread other([&] { woken = !!loop.try_post([&] { ++called; }); });
    reluctant_kernel::entered.acquire();
    CHECK(notifier.poll() == 1); // finds the post, and that its thread is about to wake the loop
    CHECK(loop.try_post([&] { ++called; }));
    reluctant_kernel::refuse.release();
    other.join();
    CHECK_FALSE(woken);
    while (called < 2 && foreign.wait(long_enough)) notifier.poll();
    CHECK(called == 2);
}

TEST_CASE("a refused request and a handler that throws leave the notifier in order") {
    std::vector<char> buffer(64);
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN | EPOLLET);
    int called = 0;
    loop.submit(kaio::read(-1, buffer, 0), [&](kaio::io_result r) {
        ++called;
        CHECK(r.error() == std::errc::bad_file_descriptor);
        loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++called; });
        throw std::runtime_error("handler");
    });
    notifier.update();
    REQUIRE(foreign.wait(long_enough)); // io_submit refused it, so no event will tell
    CHECK_THROWS_WITH(notifier.poll(), "handler");
    while (called < 2 && foreign.wait(long_enough)) notifier.poll();
    CHECK(called == 2);
}

TEST_CASE("a request that the kernel has no room for, with nothing in flight, is heard until it has gone through") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::script script;
    script.submit = {{1, -EAGAIN}, {2, -EAGAIN}};
    kaio::basic_loop<test::scripted_kernel> loop(4, {}, test::scripted_kernel(script));
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN);
    std::size_t bytes = 0;
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes = r.bytes(); });
    notifier.update();
    while (bytes == 0) {
        REQUIRE(foreign.wait(long_enough));
        notifier.poll();
    }
    CHECK(bytes == 64);
    CHECK(script.submits == 3);
    CHECK_FALSE(foreign.wait(moment));
}

TEST_CASE("without descriptors there is no notifier, and the loop works on; after one it runs by itself again") {
    kaio::loop loop(4);
    rlimit before{}, none{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = 0;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    std::exception_ptr thrown; // looked at when there are descriptors again: sanitizers need them
    try {
        kaio::notifier notifier(loop);
    } catch (...) {
        thrown = std::current_exception();
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    REQUIRE(thrown);
    std::string text;
    try {
        std::rethrow_exception(thrown);
    } catch (const std::system_error& error) {
        text = error.what();
        CHECK(error.code() == std::errc::too_many_files_open);
    }
    CHECK_THAT(text, test::ContainsSubstring("kaio: notifier"));
    int called = 0;
    {
        kaio::notifier notifier(loop);
    }
    loop.post([&] { ++called; });
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++called; });
    CHECK(loop.run() == 2);
    CHECK(called == 2);
}

TEST_CASE("try_make fails at each of the three descriptors without a trace, and what it makes can be passed on") {
    kaio::loop loop(4);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    int const first_free = ::dup(0);
    ::close(first_free);
    std::vector<int> errors, left;
    for (int there : {0, 1, 2}) {
        rlimit few = before;
        few.rlim_cur = static_cast<rlim_t>(first_free + there);
        ::setrlimit(RLIMIT_NOFILE, &few);
        auto const made = kaio::notifier<kaio::loop>::try_make(loop);
        ::setrlimit(RLIMIT_NOFILE, &before);
        errors.push_back(made ? 0 : made.error().value());
        left.push_back(::dup(0));
        ::close(left.back());
    }
    CHECK(errors == std::vector<int>(3, EMFILE));
    CHECK(left == std::vector<int>(3, first_free));

    auto made = kaio::notifier<kaio::loop>::try_make(loop);
    REQUIRE(made);
    kaio::notifier notifier(std::move(*made));
    epoll const foreign(notifier.fd(), EPOLLIN);
    int called = 0;
    loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++called; });
    notifier.update();
    REQUIRE(foreign.wait(long_enough));
    notifier.poll();
    CHECK(called == 1);

    kaio::loop gone(4);
    kaio::loop const other(std::move(gone));
    auto const unusable = kaio::notifier<kaio::loop>::try_make(gone);
    REQUIRE_FALSE(unusable);
    CHECK(unusable.error() == std::errc::invalid_argument);
}

TEST_CASE("a second notifier on one loop is refused, and the first one hears on") {
    kaio::loop loop(4);
    {
        kaio::notifier first(loop);
        epoll const foreign(first.fd(), EPOLLIN);
        auto const second = kaio::notifier<kaio::loop>::try_make(loop);
        REQUIRE_FALSE(second);
        CHECK(second.error() == std::errc::device_or_resource_busy);
        CHECK_THROWS_WITH(kaio::notifier(loop), test::ContainsSubstring("has a notifier already"));

        int const ready = ::eventfd(1, EFD_CLOEXEC);
        int called = 0;
        loop.submit(kaio::poll(ready, EPOLLIN), [&](kaio::io_result) { ++called; });
        first.update();
        REQUIRE(foreign.wait(long_enough));
        CHECK(first.poll() == 1);
        std::thread([&] { loop.post([&] { ++called; }); }).join();
        REQUIRE(foreign.wait(long_enough));
        while (called < 2 && foreign.wait(long_enough)) first.poll();
        CHECK(called == 2);
        ::close(ready);
    }
    CHECK(kaio::notifier<kaio::loop>::try_make(loop));
}

TEST_CASE("a handler may destroy or move the notifier that polls, and the loop is of use afterwards") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(4);
    auto notifier = std::make_unique<kaio::notifier<kaio::loop>>(loop);
    int ended = 0;
    bool const nested = GENERATE(false, true);
    loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
        auto moved = std::make_unique<kaio::notifier<kaio::loop>>(std::move(*notifier));
        notifier = std::move(moved);
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { ++ended; });
        if (nested) {
            loop.submit(kaio::after(0ms), [&](kaio::io_result) { notifier.reset(), ++ended; });
            notifier->poll();
        }
        notifier.reset();
    });
    notifier->update();
    notifier->poll();
    CHECK(!notifier);
    loop.run();
    CHECK(ended == (nested ? 2 : 1));
    kaio::notifier<kaio::loop> const next(loop);
}

TEST_CASE("a forked child's notifier is of no use, and takes nothing from its parent's") {
    kaio::loop loop(4);
    kaio::notifier notifier(loop);
    epoll const foreign(notifier.fd(), EPOLLIN);
    int called = 0;
    auto const useless = [&] {
        bool const refused = notifier.try_poll().error() == std::errc::invalid_argument;
        notifier.update();
        return refused && called == 0 ? 0 : 1;
    };
    CHECK(test::in_child(useless) == 0);
    CHECK_FALSE(foreign.wait(moment));

    loop.submit(kaio::after(1ms), [&](kaio::io_result) { ++called; });
    notifier.update();
    REQUIRE(foreign.wait(long_enough));
    CHECK(test::in_child(useless) == 0);
    REQUIRE(foreign.wait(moment));
    CHECK(notifier.poll() == 1);
    CHECK(called == 1);
}
