// How long things take on a device that takes exactly as long as it was told to: the kernel's null_blk, which completes
// a request when a timer has run out. tests/vm/run runs this in a virtual machine.
#include "support/catch.hpp"

#include <cstdint>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

constexpr std::int64_t latency = 300'000'000; // ns, much more than the emulator needs for what else happens meanwhile
constexpr std::size_t block = 4096;

std::int64_t now() { return kaio::linux_kernel::now(); }

void write(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    INFO(path << " = " << text);
    REQUIRE(file.good());
}

// It has room for `depth` requests at a time. What it is given beyond that has to wait.
class device {
public:
    explicit device(unsigned depth) {
        ::mount("configfs", "/sys/kernel/config", "configfs", 0, nullptr);
        if (::mkdir(folder_.c_str(), 0755) != 0) SKIP_TEST("there is no null_blk");
        write(folder_ + "/irqmode", "2"); // a timer
        write(folder_ + "/completion_nsec", std::to_string(latency));
        write(folder_ + "/hw_queue_depth", std::to_string(depth));
        write(folder_ + "/submit_queues", "1");
        write(folder_ + "/blocksize", "4096");
        write(folder_ + "/size", "64"); // MiB
        write(folder_ + "/power", "1");
        write("/sys/block/nullb0/queue/scheduler", "none"); // it has a queue of its own
        file_ = kaio::file::open("/dev/nullb0", O_RDWR | O_DIRECT);
    }
    device(const device&) = delete;
    device& operator=(const device&) = delete;
    ~device() {
        file_.close();
        ::rmdir(folder_.c_str());
    }

    const kaio::file& file() const { return file_; }

private:
    // Newer kernels call the disk as the folder, older ones number it.
    std::string folder_ = "/sys/kernel/config/nullb/nullb0";
    kaio::file file_;
};

// Writes `count` blocks. Two of them never follow each other, for the kernel would make one request of them.
template <class Loop>
void start(Loop& loop, const device& disk, const kaio::aligned_buffer& buffer, unsigned count, unsigned& completed) {
    for (unsigned i = 0; i < count; ++i) {
        auto const offset = static_cast<std::int64_t>(2 * i * block);
        loop.submit(kaio::write(disk.file(), buffer, offset), [&](kaio::io_result result) {
            CHECK(result.bytes() == block);
            ++completed;
        });
    }
    loop.flush();
}

TEST_CASE("submitting takes none of the device's time, and many requests take it at once") {
    device const disk(64);
    kaio::aligned_buffer const buffer(block);
    kaio::loop loop(32);
    unsigned completed = 0;
    std::int64_t const begin = now();
    start(loop, disk, buffer, 32, completed);
    CHECK(now() - begin < latency);
    CHECK(loop.poll() == 0);
    loop.run();
    CHECK(completed == 32);
    CHECK(now() - begin >= latency);
    CHECK(now() - begin < 4 * latency);
}

TEST_CASE("a timer fires on time while requests are in flight") {
    device const disk(64);
    kaio::aligned_buffer const buffer(block);
    kaio::loop loop(32);
    unsigned completed = 0;
    std::int64_t const begin = now();
    start(loop, disk, buffer, 1, completed);
    std::int64_t fired = 0;
    loop.submit(kaio::after(kaio::duration::from_ns(latency / 10)), [&](kaio::io_result) {
        fired = now() - begin;
        CHECK(completed == 0);
    });
    loop.run();
    CHECK(fired >= latency / 10);
    CHECK(fired < latency);
    CHECK(completed == 1);
}

TEST_CASE("a full queue makes io_submit wait for the device") {
    device const disk(2);
    kaio::aligned_buffer const buffer(block);
    kaio::loop loop(8);
    unsigned completed = 0;
    std::int64_t const begin = now();
    start(loop, disk, buffer, 4, completed);
    CHECK(now() - begin >= latency);
    loop.run();
    CHECK(completed == 4);
}

TEST_CASE("a loop with helpers does not wait for a full queue") {
    device const disk(2);
    kaio::aligned_buffer const buffer(block);
    kaio::helpers helpers;
    kaio::loop loop(8, helpers);
    unsigned completed = 0;
    std::int64_t const begin = now();
    start(loop, disk, buffer, 4, completed);
    std::int64_t const submitted = now() - begin;
    CHECK(submitted < latency);
    bool in_time = false;
    loop.submit(kaio::after(kaio::duration::from_ns(latency / 10)),
                [&](kaio::io_result) { in_time = now() - begin < latency; });
    loop.run();
    CHECK(in_time);
    CHECK(completed == 4);
    CHECK(now() - begin >= 2 * latency);
}

} // namespace
