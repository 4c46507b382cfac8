// Small stacks and deep ones. kaio needs little stack. The need grows only with tasks inside tasks, not with the number
// of requests.
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <vector>

#include <pthread.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

constexpr std::size_t smallest = 16 << 10; // bytes: the minimum of POSIX; musl's default is 128 KiB

kaio::task<int> down(kaio::loop& loop, int levels) {
    if (levels == 0) {
        (void)co_await loop.submit(kaio::after(std::chrono::milliseconds(1)));
        co_return 0;
    }
    int const below = co_await down(loop, levels - 1);
    co_return below + 1;
}

kaio::task<void> read_byte(kaio::loop& loop, int fd, char* byte) {
    (void)co_await loop.submit(kaio::read(fd, kaio::view<char>(byte, 1), 0));
}

// Uses each part of kaio once. Returns the part that was wrong, or null.
const char* all_of_kaio(const std::string& path) {
    kaio::file const file = kaio::file::open(path, O_RDWR);
    kaio::loop loop(8);
    char buffer[64];
    int good = 0;
    for (int i = 0; i < 1000; ++i)
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { good += r.bytes() == sizeof buffer; });
    loop.run();
    if (good != 1000) return "reads";
    loop.post([&] { ++good; });
    loop.run();
    if (good != 1001) return "posts";
    if (kaio::sync_wait(loop, down(loop, 4)) != 4) return "tasks";
    kaio::notifier notifier(loop);
    if (notifier.poll() != 0) return "notifier";
    try {
        kaio::file::open("/there is no such file", O_RDONLY);
        return "open";
    } catch (const std::system_error& error) {
        if (std::string(error.what()).find("no such file") == std::string::npos) return "the error of open";
    }
    try {
        kaio::loop none(0u);
        return "no capacity";
    } catch (const std::system_error&) {
        return nullptr;
    }
}

#if defined(KAIO_ASAN) || defined(KAIO_TSAN) || defined(KAIO_MSAN)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

} // namespace

TEST_CASE("the smallest stack that a thread can have is enough, also for errors and their texts") {
    if (sanitized) SKIP_TEST("a sanitizer needs more stack");
    test::temporary_file const file(4096);
    pthread_attr_t attributes;
    REQUIRE(::pthread_attr_init(&attributes) == 0);
    auto const least = static_cast<std::size_t>(std::max(::sysconf(_SC_THREAD_STACK_MIN), 0l));
    REQUIRE(::pthread_attr_setstacksize(&attributes, std::max(smallest, least)) == 0);
    struct both {
        const std::string& path;
        const char* wrong;
    } job{file.path(), "the thread did not run"};
    auto const run = [](void* argument) -> void* {
        auto& todo = *static_cast<both*>(argument);
        todo.wrong = all_of_kaio(todo.path);
        return nullptr;
    };
    pthread_t thread;
    REQUIRE(::pthread_create(&thread, &attributes, run, &job) == 0);
    ::pthread_join(thread, nullptr);
    ::pthread_attr_destroy(&attributes);
    INFO((job.wrong ? job.wrong : ""));
    CHECK(job.wrong == nullptr);
}

TEST_CASE("tasks inside tasks, ten thousand deep, fit into the stack of a program") {
    if (sanitized) SKIP_TEST("a sanitizer needs more stack");
    kaio::loop loop(4);
    CHECK(kaio::sync_wait(loop, down(loop, 10'000)) == 10'000);
}

TEST_CASE("a hundred thousand tasks side by side need no more stack than one") {
    test::temporary_file const file(4096);
    kaio::loop loop(64);
    char first[1];
    std::vector<kaio::task<void>> all;
    for (int i = 0; i < 100'000; ++i) all.push_back(read_byte(loop, file.fd(), first));
    kaio::sync_wait(loop, kaio::when_all(std::move(all)));
    CHECK(first[0] == static_cast<char>(test::temporary_file::content(0)));
}
