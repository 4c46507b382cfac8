// per_core FILE: counts the lines of a file, with one loop and one thread on each processor. Loops share nothing, so
// nothing is locked. post(), which any thread may call, hands over work and results.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <functional>
#include <numeric>
#include <span>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sched.h>

#include <kaio/kaio.hpp>

namespace {

constexpr std::int64_t block_size = 256 << 10; // bytes of one read: a multiple of every alignment
constexpr std::int64_t blocks_in_a_part = 32;  // a core gets one part at a time
constexpr unsigned reads_at_once = 8;          // on one core

struct outcome {
    std::int64_t lines = 0;
    std::error_code error;
};

// A thread that stays on one processor, its loop and its buffers.
class core {
public:
    explicit core(int cpu) : cpu_(cpu) {
        loop_.hold(); // otherwise run() would return, because there is nothing to do yet
        thread_ = std::thread([this] { loop_.run(); });
        cpu_set_t only;
        CPU_ZERO(&only);
        CPU_SET(static_cast<unsigned>(cpu), &only);
        ::pthread_setaffinity_np(thread_.native_handle(), sizeof only, &only);
    }
    ~core() {
        loop_.post([this] { loop_.release(); });
        thread_.join();
    }

    int cpu() const { return cpu_; }

    // Counts lines on this core's thread, then calls `done(outcome)` on the thread of the loop `home`. Any thread may
    // call it, but only one part at a time: there are no buffers for more.
    template <class Done> void count(const kaio::file& file, std::int64_t first_block, kaio::loop& home, Done done) {
        loop_.post(
            [this, &file, first_block, &home, done] { kaio::spawn(loop_, count_here(file, first_block, home, done)); });
    }

private:
    template <class Done>
    kaio::task<> count_here(const kaio::file& file, std::int64_t first_block, kaio::loop& home, Done done) {
        std::vector<std::int64_t> blocks(blocks_in_a_part); // std::views::iota is beyond Clang 15 with libstdc++
        std::iota(blocks.begin(), blocks.end(), first_block);
        outcome total; // only this thread uses it, so it needs no atomic
        co_await kaio::for_each_concurrent(blocks, reads_at_once, [&](std::int64_t block) -> kaio::task<> {
            kaio::pooled_buffer const buffer = buffers_.acquire();
            auto const got = co_await loop_.submit(kaio::fully(kaio::read(file, buffer, block * block_size)));
            total.lines += std::ranges::count(std::span(buffer.data(), got.bytes()), std::byte{'\n'});
            if (!got) total.error = got.error();
        });
        home.post([done, total] { done(total); });
    }

    int const cpu_;
    kaio::buffer_pool buffers_{reads_at_once, block_size};
    kaio::loop loop_{reads_at_once};
    std::thread thread_;
};

std::int64_t count_lines(const char* path) {
    kaio::file const file = kaio::file::open(path, O_RDONLY | O_DIRECT);
    auto const blocks = (static_cast<std::int64_t>(file.size()) + block_size - 1) / block_size;

    kaio::loop home(1); // outlives the cores, which post to it
    std::deque<core> cores;
    cpu_set_t allowed;
    ::sched_getaffinity(0, sizeof allowed, &allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed)) cores.emplace_back(static_cast<int>(cpu));

    // A core that is done gets the next part, so a slow core delays no other. All of this runs on this thread.
    std::int64_t next_block = 0, lines = 0;
    std::error_code error;
    std::function<void(core&)> const give_work = [&](core& worker) {
        if (next_block >= blocks || error) return;
        home.hold(); // until the result is here
        worker.count(file, std::exchange(next_block, next_block + blocks_in_a_part), home, [&](outcome part) {
            home.release();
            lines += part.lines;
            if (part.error) error = part.error;
            std::printf("processor %d: %lld lines\n", worker.cpu(), static_cast<long long>(part.lines));
            give_work(worker);
        });
    };
    for (core& each : cores) give_work(each);
    home.run();
    if (error) throw std::system_error(error, path);
    return lines;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return std::fputs("usage: per_core FILE\n", stderr), 2;
    try {
        std::printf("%lld lines\n", static_cast<long long>(count_lines(argv[1])));
        if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw std::runtime_error("the output can't be written");
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "per_core: %s\n", failure.what());
        return 1;
    }
}
