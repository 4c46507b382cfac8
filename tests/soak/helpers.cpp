// soak_helpers [ROUNDS [FOLDER]]: so many rounds (40 without an argument) of threads whose loops share helpers, and
// come and go. They submit, cancel, stop, move, post to each other and are destroyed, while helpers are inside
// io_submit. Every request must complete exactly once, and what was read must be right. It is for ThreadSanitizer and
// AddressSanitizer. FOLDER is where its file lies: only on a disk do helpers read and write files.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

constexpr unsigned threads = 3, capacity = 8, requests = 40;
constexpr std::size_t page = 4096, pages = 64;

[[noreturn]] void fail(const char* what) {
    std::printf("FAILED: %s\n0 passed, 1 failed, 0 skipped\n", what);
    std::exit(1);
}

struct pipe_ends {
    int ends[2];
    pipe_ends() {
        if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    ~pipe_ends() { ::close(ends[0]), ::close(ends[1]); }
};

unsigned char content(std::size_t offset) { return static_cast<unsigned char>(offset / page * 7 + 1); }

// One loop's life.
void round_of(kaio::helpers& helpers, int file, unsigned seed) {
    struct item {
        std::unique_ptr<kaio::owned_operation<std::function<void(kaio::io_result)>>> operation{};
        std::vector<unsigned char> bytes{};
        std::size_t offset = 0;
        int completed = 0;
        enum { read, write, from_pipe } what = read;
    };
    std::mt19937 random(seed);
    pipe_ends pipe;
    std::vector<item> items(requests);
    unsigned from_pipe = 0;
    auto loop = std::make_unique<kaio::loop>(capacity, helpers);
    for (item& each : items) {
        std::size_t const first = random() % pages, count = 1 + random() % 2;
        each.offset = first * page;
        each.bytes.assign((first + count > pages ? 1 : count) * page, 0);
        each.what = random() % 8 == 0 ? item::from_pipe : random() % 3 == 0 ? item::write : item::read;
        from_pipe += each.what == item::from_pipe;
        if (each.what == item::write) // what is there already
            for (std::size_t i = 0; i < each.bytes.size(); ++i) each.bytes[i] = content(each.offset + i);
        each.operation = std::make_unique<kaio::owned_operation<std::function<void(kaio::io_result)>>>(
            [&each, &loop, &random](kaio::io_result r) {
                if (++each.completed != 1) fail("a request completed twice");
                if (r.error() == std::errc::operation_canceled) return;
                if (each.what == item::from_pipe ? r.bytes() != 1 : r.bytes() != each.bytes.size())
                    fail("a short transfer, or an error");
                if (each.what == item::read)
                    for (std::size_t i = 0; i < each.bytes.size(); ++i)
                        if (each.bytes[i] != content(each.offset + i)) fail("a wrong byte");
                if (loop && random() % 16 == 0) loop->stop();
            });
    }
    for (item& each : items) {
        auto const offset = static_cast<std::int64_t>(each.offset);
        loop->submit(each.what == item::from_pipe ? kaio::read(pipe.ends[0], std::span(each.bytes).first(1), 0)
                     : each.what == item::write   ? kaio::write(file, each.bytes, offset)
                                                  : kaio::read(file, each.bytes, offset),
                     *each.operation);
        if (random() % 4 == 0) loop->poll();
        if (random() % 8 == 0) ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        if (random() % 8 == 0)
            if (item& other = items[random() % requests]; other.completed == 0) (void)loop->cancel(*other.operation);
    }
    std::vector<char> const enough(from_pipe, 'p'); // what reads from the pipe blocks until now
    if (::write(pipe.ends[1], enough.data(), enough.size()) < 0) fail("write");
    std::atomic<bool> posted = false;
    std::thread poster;
    if (random() % 2 == 0) poster = std::thread([&posted, &loop = *loop] { loop.post([&posted] { posted = true; }); });
    if (random() % 2 == 0) loop->run();
    if (poster.joinable()) poster.join();
    if (random() % 4 == 0) {
        while (loop->in_flight() + loop->queued() != 0 || (loop->has_completions())) loop->run();
        loop = std::make_unique<kaio::loop>(std::move(*loop));
        loop->submit(kaio::read(file, items[0].bytes, 0), [](kaio::io_result) {});
        loop->poll();
    }
    loop.reset();
    for (const item& each : items)
        if (each.completed != 1) fail("a request did not complete");
}

} // namespace

int main(int argc, char** argv) {
    unsigned const rounds = argc > 1 ? static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10)) : 40;
    std::string path = std::string(argc > 2 ? argv[2] : ".") + "/kaio-soak-XXXXXX";
    int const file = ::mkostemp(path.data(), O_CLOEXEC);
    if (file < 0) fail("can't make a file");
    ::unlink(path.c_str());
    std::vector<unsigned char> bytes(pages * page);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = content(i);
    if (::pwrite(file, bytes.data(), bytes.size(), 0) < 0 || ::fsync(file) != 0) fail("can't write the file");
    std::atomic<unsigned> next = 0;
    auto helpers = std::make_unique<kaio::helpers>(2);
    std::vector<std::thread> all;
    for (unsigned i = 0; i < threads; ++i)
        all.emplace_back([&] {
            for (unsigned round; (round = next++) < rounds;) round_of(*helpers, file, round);
        });
    for (auto& thread : all) thread.join();
    helpers.reset();
    std::printf("%u rounds\n1 passed, 0 failed, 0 skipped\n", rounds);
}
