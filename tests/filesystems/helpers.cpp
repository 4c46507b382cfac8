// Loops with helpers on what KAIO_MEDIUM names: a block device (whose content is lost) or a folder on some file system.
// Without it, the current folder. KAIO_STOP and KAIO_GO are shell commands that stop the medium and let it go on.
// tests/filesystems/run.py runs this on each medium that it can make.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

constexpr std::size_t page = 4096;

using counted_loop = kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>;

const char* medium() {
    const char* const named = std::getenv("KAIO_MEDIUM");
    return named ? named : ".";
}
bool is_device() {
    struct stat status;
    REQUIRE(::stat(medium(), &status) == 0);
    return S_ISBLK(status.st_mode);
}
std::string folder() {
    if (is_device()) SKIP_TEST("it has no folder");
    return medium();
}
unsigned long file_system() {
    struct statfs status;
    REQUIRE(::statfs(folder().c_str(), &status) == 0);
    return static_cast<unsigned long>(status.f_type);
}
bool is_local_disk() { // of which the kernel can say that a request would block
    unsigned long const type = file_system();
    return type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC || type == BTRFS_SUPER_MAGIC;
}
bool is_in_memory() { return file_system() == TMPFS_MAGIC; }

// Nothing of the file is left in the page cache, and read-ahead is off.
void make_cold(int fd) {
    REQUIRE(::fsync(fd) == 0);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
void make_warm(int fd, std::int64_t offset) {
    char byte;
    REQUIRE(::pread(fd, &byte, 1, offset) == 1);
}

bool holds(const std::vector<unsigned char>& bytes, std::size_t offset) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != test::temporary_file::content(offset + i)) return false;
    return true;
}

std::int64_t result_of(counted_loop& loop, const kaio::request& request) {
    std::int64_t res = -1;
    loop.submit(request, [&](kaio::io_result r) { res = r.res(); });
    loop.run();
    return res;
}

long sleeps() {
    rusage usage;
    REQUIRE(::getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_nvcsw;
}

// Keeps `depth` requests going until `requests` have completed: `make(n)` makes the n-th, for a buffer of the slot.
// Returns how often the thread has slept inside a turn. It waits, for completions, between turns.
template <class Loop, class Make>
long sleeps_in_turns(Loop& loop, unsigned depth, unsigned requests, Make make, std::size_t expected) {
    unsigned started = 0, wrong = 0;
    auto submit = [&](auto& again, unsigned slot) -> void {
        if (started == requests) return;
        loop.submit(make(started++, slot), [&, slot](kaio::io_result r) {
            wrong += r.bytes() != expected;
            again(again, slot);
        });
    };
    for (unsigned slot = 0; slot < depth; ++slot) submit(submit, slot);
    long slept = 0;
    while (loop.in_flight() + loop.queued() != 0) {
        long const before = sleeps();
        loop.poll();
        slept += sleeps() - before;
        ::usleep(20);
    }
    CHECK(wrong == 0);
    return slept;
}

// What blocks sleeps in each of three tries. On a busy machine a thread may also sleep for the kernel's own memory.
template <class Loop, class Make>
bool sleeps_in_no_turn(Loop& loop, unsigned depth, unsigned requests, Make make, std::size_t expected) {
    long slept = 0;
    for (int tries = 3; tries != 0; --tries) {
        slept = sleeps_in_turns(loop, depth, requests, make, expected);
        if (slept == 0) return true;
    }
    WARN("it slept " << slept << " times in the last try");
    return false;
}

struct descriptors {
    std::vector<int> all;
    descriptors() = default;
    descriptors(const descriptors&) = delete;
    descriptors& operator=(const descriptors&) = delete;
    ~descriptors() {
        for (int const fd : all) ::close(fd);
    }
};

} // namespace

TEST_CASE("a buffered read of which only a part is cached transfers all of it") {
    test::temporary_file const file(64 * page, folder());
    kaio::helpers helpers;
    counted_loop loop(4, helpers);
    std::vector<unsigned char> bytes(8 * page);
    bool const vectored = GENERATE(false, true);
    for (std::size_t round = 0; round < 8; ++round) {
        make_cold(file.fd());
        std::size_t const offset = round * 8 * page;
        make_warm(file.fd(), static_cast<std::int64_t>(offset));
        iovec const pieces[] = {{bytes.data(), page + 10}, {bytes.data() + page + 10, 7 * page - 10}};
        auto const at = static_cast<std::int64_t>(offset);
        auto const request = vectored ? kaio::readv(file.fd(), pieces, at) : kaio::read(file.fd(), bytes, at);
        CHECK(result_of(loop, request) == static_cast<std::int64_t>(bytes.size()));
        CHECK(holds(bytes, offset));
    }
    if (is_local_disk()) CHECK(loop.observer().would_block + loop.observer().known_to_block > 0);
    if (is_in_memory()) CHECK(loop.observer().would_block + loop.observer().no_nowait == 0);
}

TEST_CASE("a descriptor's number may name a file of another kind later") {
    test::temporary_file const file(64 * page, folder());
    test::temporary_file const in_memory(64 * page, "/dev/shm");
    int const direct = ::open(file.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (direct < 0) SKIP_TEST("the file system has no direct I/O");
    int const number = ::fcntl(direct, F_DUPFD_CLOEXEC, 100);
    int pipe[2];
    REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
    kaio::helpers helpers;
    counted_loop loop(4, helpers);
    kaio::aligned_buffer aligned(page, page);
    std::vector<unsigned char> bytes(2 * page);
    for (int round = 0; round < 3; ++round) {
        REQUIRE(::dup2(direct, number) == number);
        for (int i = 0; i < 20; ++i) CHECK(result_of(loop, kaio::read(number, aligned, 0)) == page);
        REQUIRE(::dup2(file.fd(), number) == number);
        for (std::size_t i = 0; i < 20; ++i) {
            std::size_t const offset = i * 3 * page;
            make_cold(file.fd());
            make_warm(file.fd(), static_cast<std::int64_t>(offset));
            CHECK(result_of(loop, kaio::read(number, bytes, static_cast<std::int64_t>(offset))) == 2 * page);
            CHECK(holds(bytes, offset));
        }
        REQUIRE(::dup2(in_memory.fd(), number) == number);
        for (int i = 0; i < 20; ++i) CHECK(result_of(loop, kaio::read(number, bytes, 0)) == 2 * page);
        REQUIRE(::dup2(pipe[0], number) == number);
        for (int i = 0; i < 20; ++i) {
            REQUIRE(::write(pipe[1], "four", 4) == 4);
            CHECK(result_of(loop, kaio::read(number, bytes, 0)) == 4);
        }
    }
    for (int const each : {direct, number, pipe[0], pipe[1]}) ::close(each);
}

TEST_CASE("what is appended is written once and in order") {
    int const with_flag = GENERATE(0, O_APPEND);
    std::size_t const size = GENERATE(std::size_t{100}, std::size_t{300'000});
    test::temporary_file const file(0, folder());
    int const fd = ::open(file.path().c_str(), O_RDWR | O_CLOEXEC | with_flag);
    kaio::helpers helpers(2);
    counted_loop loop(8, helpers);
    constexpr unsigned count = 200;
    std::vector<std::vector<unsigned char>> records;
    for (unsigned i = 0; i < count; ++i) records.emplace_back(size, static_cast<unsigned char>(i));
    unsigned refused = 0;
    for (const auto& record : records) {
        auto request = kaio::write(fd, record, 0);
        if (with_flag == 0) request = request.flags(kaio::rw_flags::append);
        loop.submit(request, [&](kaio::io_result r) {
            refused += r.error() == std::errc::operation_not_supported;
            CHECK((!r || r.bytes() == size));
        });
    }
    loop.run();
    std::vector<unsigned char> bytes(size);
    unsigned landed = 0;
    while (::read(fd, bytes.data(), size) == static_cast<ssize_t>(size)) {
        if (refused == 0) CHECK(bytes == records[landed]);
        ++landed;
    }
    CHECK(landed == count - refused);
    if (is_local_disk()) CHECK(loop.observer().known_to_block == count); // and none was tried
    if (refused == 0) CHECK(::lseek(fd, 0, SEEK_END) == static_cast<off_t>(count * size));
    ::close(fd);
    if (refused != 0) SKIP_TEST("the file system appends no single request");
}

TEST_CASE("reads at the end of a file are short and then empty, and fully ends there") {
    constexpr std::size_t size = 3 * page + 100;
    test::temporary_file const file(size, folder());
    kaio::helpers helpers;
    counted_loop loop(4, helpers);
    std::vector<unsigned char> bytes(4 * page);
    for (int round = 0; round < 4; ++round) {
        make_cold(file.fd());
        CHECK(result_of(loop, kaio::read(file.fd(), bytes, page)) == 2 * page + 100);
        CHECK(result_of(loop, kaio::read(file.fd(), bytes, size)) == 0);
        CHECK(result_of(loop, kaio::read(file.fd(), bytes, 10 * page)) == 0);
        make_cold(file.fd());
        kaio::transfer_result got(0, 0);
        loop.submit(kaio::fully(kaio::read(file.fd(), bytes, 0)), [&](kaio::transfer_result r) { got = r; });
        loop.run();
        CHECK(got == kaio::transfer_result(size, 0));
        bytes.resize(size);
        CHECK(holds(bytes, 0));
        bytes.resize(4 * page);
    }
}

TEST_CASE("random buffered requests of many loops, files and sizes transfer every byte once, with shared helpers") {
    std::string const place = folder();
    auto const how = GENERATE(kaio::reaping::automatic, kaio::reaping::syscall);
    kaio::helpers helpers(3);
    constexpr std::size_t files = 3, slots = 24, area = 5 * page;
    std::mt19937 random(7);
    std::deque<test::temporary_file> file;
    for (std::size_t i = 0; i < files; ++i) file.emplace_back(std::size_t{0}, place);
    struct slot {
        std::vector<unsigned char> bytes, written;
        bool busy = false;
    };
    std::vector<slot> slot(files * slots);
    counted_loop loops[] = {counted_loop(16, helpers, {.setup = {.events = how}}),
                            counted_loop(16, helpers, {.setup = {.events = how}})};
    unsigned wrong = 0, done = 0;
    for (int round = 0; round < 60; ++round) {
        if (round % 5 == 0)
            for (auto& each : file) make_cold(each.fd());
        for (std::size_t i = 0; i < slot.size(); ++i) {
            auto& s = slot[i];
            int const fd = file[i % files].fd();
            auto const offset = static_cast<std::int64_t>(i / files * area);
            bool const writes = s.written.empty() || random() % 2 == 0;
            if (writes) {
                s.bytes.assign(1 + random() % area, 0);
                for (auto& byte : s.bytes) byte = static_cast<unsigned char>(random());
            } else {
                s.bytes.assign(s.written.size(), 0);
            }
            auto const request = writes ? kaio::write(fd, s.bytes, offset) : kaio::read(fd, s.bytes, offset);
            loops[random() % 2].submit(request, [&, writes](kaio::io_result r) {
                wrong += r.bytes() != s.bytes.size();
                if (writes)
                    s.written = s.bytes;
                else
                    wrong += s.bytes != s.written;
                ++done;
            });
        }
        while (loops[0].in_flight() + loops[0].queued() + loops[1].in_flight() + loops[1].queued() != 0)
            for (auto& loop : loops) loop.poll();
    }
    CHECK(done == 60 * slot.size());
    CHECK(wrong == 0);
    for (std::size_t i = 0; i < slot.size(); ++i) {
        std::vector<unsigned char> seen(slot[i].written.size());
        CHECK(::pread(file[i % files].fd(), seen.data(), seen.size(), static_cast<off_t>(i / files * area)) ==
              static_cast<ssize_t>(seen.size()));
        CHECK(seen == slot[i].written);
    }
}

TEST_CASE("more files at once than a loop has habits for") {
    constexpr std::size_t count = 1000;
    rlimit limit;
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < count + 50) SKIP_TEST("a process may not have so many descriptors");
    test::temporary_file const file(2 * page, folder());
    descriptors open;
    for (std::size_t i = 0; i < count; ++i)
        open.all.push_back(::open(file.path().c_str(), O_RDWR | O_CLOEXEC | (i % 3 == 0 ? O_DSYNC : 0)));
    kaio::helpers helpers(2);
    counted_loop loop(256, helpers);
    std::vector<std::vector<unsigned char>> bytes(2 * count, std::vector<unsigned char>(2 * page));
    std::size_t done = 0;
    for (auto& each : bytes)
        for (std::size_t i = 0; i < each.size(); ++i) each[i] = test::temporary_file::content(i);
    for (int round = 0; round < 2; ++round) {
        make_cold(file.fd());
        for (std::size_t i = 0; i < count; ++i) {
            loop.submit(kaio::read(open.all[i], bytes[2 * i], 0),
                        [&](kaio::io_result r) { done += r.bytes() == 2 * page; });
            loop.submit(kaio::write(open.all[i], bytes[2 * i + 1], 0),
                        [&](kaio::io_result r) { done += r.bytes() == 2 * page; });
        }
        loop.run();
    }
    CHECK(done == 4 * count);
    for (auto& each : bytes) CHECK(holds(each, 0));
}

TEST_CASE("a loop's thread never sleeps inside a turn") {
    std::string const place = folder();
    if (!is_local_disk() && !is_in_memory()) SKIP_TEST("the kernel can't say what would block there");
    unsigned const depth = GENERATE(1u, 8u, 32u);
    constexpr unsigned count = 1000;
    kaio::helpers helpers;
    counted_loop loop(depth, helpers);
    { // the first helper is started, once
        test::temporary_file const file(0, place);
        loop.submit(kaio::write(file.fd(), place, 0).flags(kaio::rw_flags::append), [](kaio::io_result) {});
        loop.run();
    }
    std::vector<kaio::aligned_buffer> buffer;
    for (unsigned i = 0; i < depth; ++i) {
        buffer.emplace_back(page, page);
        std::memset(buffer.back().data(), 'b', page);
    }
    auto const at = [](unsigned n) { return static_cast<std::int64_t>(n * page); };
    { // cold buffered reads
        test::temporary_file const file(count * page, place);
        make_cold(file.fd());
        auto const read = [&](unsigned n, unsigned slot) {
            if (n == 0) make_cold(file.fd());
            return kaio::read(file.fd(), buffer[slot], at(n * 7 % count));
        };
        CHECK(sleeps_in_no_turn(loop, depth, count, read, page));
    }
    { // buffered writes
        test::temporary_file const file(0, place);
        auto const write = [&](unsigned n, unsigned slot) {
            if (n == 0) REQUIRE(::ftruncate(file.fd(), 0) == 0);
            return kaio::write(file.fd(), buffer[slot], at(n));
        };
        CHECK(sleeps_in_no_turn(loop, depth, count, write, page));
    }
    for (std::int64_t const size : {std::int64_t{0}, at(count)}) { // extending and hole-filling direct writes
        test::temporary_file const file(0, place);
        int const direct = ::open(file.path().c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
        if (direct < 0) continue;
        auto const write = [&](unsigned n, unsigned slot) {
            if (n == 0) REQUIRE((::ftruncate(file.fd(), 0) == 0 && ::ftruncate(file.fd(), size) == 0));
            return kaio::write(direct, buffer[slot], at(n));
        };
        CHECK(sleeps_in_no_turn(loop, depth, count, write, page));
        ::close(direct);
    }
}

TEST_CASE("a device whose queue is full does not stop the loop's thread") {
    if (!is_device()) SKIP_TEST("it is no device");
    kaio::file const device = kaio::file::open(medium(), O_RDWR | O_DIRECT);
    constexpr unsigned depth = 512;
    kaio::helpers helpers;
    counted_loop loop(depth, helpers);
    kaio::aligned_buffer memory(depth * page, page);
    std::memset(memory.data(), 'm', memory.size());
    auto const part = [&](unsigned slot) { return std::span<std::byte>(memory).subspan(slot * page, page); };
    auto const at = [](unsigned n) { return static_cast<std::int64_t>(n % 4096 * page); };
    auto const write = [&](unsigned n, unsigned slot) { return kaio::write(device, part(slot), at(n)); };
    CHECK(sleeps_in_no_turn(loop, depth, 8192, write, page));
    auto const read = [&](unsigned n, unsigned slot) { return kaio::read(device, part(slot), at(n)); };
    CHECK(sleeps_in_no_turn(loop, depth, 8192, read, page));
    // While all of that is under way some is cancelled, or the loop ends.
    for (int round = 0; round < 5; ++round) {
        std::deque<kaio::owned_operation<std::function<void(kaio::io_result)>>> operation;
        std::size_t done = 0, cancelled = 0;
        {
            kaio::loop short_loop(depth, helpers);
            for (unsigned i = 0; i < depth; ++i) {
                operation.emplace_back([&](kaio::io_result r) {
                    done += r.bytes() == page;
                    cancelled += r.error() == std::errc::operation_canceled;
                });
                short_loop.submit(read(i, i), operation.back());
            }
            for (int turns = 0; turns < round; ++turns) short_loop.poll();
            for (std::size_t i = 0; i < depth; i += 3) (void)short_loop.cancel(operation[i]);
        }
        CHECK(done + cancelled == depth);
    }
}

TEST_CASE("while the medium stands still the loop serves timers and other files") {
    const char* const stop = std::getenv("KAIO_STOP");
    const char* const go = std::getenv("KAIO_GO");
    if (!stop || !go) SKIP_TEST("no command stops the medium");
    test::temporary_file const file(64 * page, folder());
    test::temporary_file const other(page, "/dev/shm");
    kaio::helpers helpers(2);
    counted_loop loop(64, helpers);
    std::vector<unsigned char> bytes(page), written(page, 'w'), elsewhere(page);
    // The loop learns that writes block here. Before, one that is tried would wait: on a frozen file system io_submit
    // sleeps in spite of RWF_NOWAIT.
    for (unsigned i = 0; i < 40; ++i) REQUIRE(result_of(loop, kaio::write(file.fd(), written, 0)) == page);
    make_cold(file.fd());
    REQUIRE(std::system((stop + std::string("; { sleep 2; ") + go + "; } &").c_str()) == 0);
    unsigned ticks = 0, others = 0, done = 0;
    std::int64_t const begin = kaio::linux_kernel::now();
    std::int64_t latest = 0;
    loop.submit(kaio::read(file.fd(), bytes, 5 * page), [&](kaio::io_result r) { done += r.bytes() == page; });
    loop.submit(kaio::write(file.fd(), written, 0), [&](kaio::io_result r) { done += r.bytes() == page; });
    auto tick = [&](auto& again) -> void {
        loop.submit(kaio::after(std::chrono::milliseconds(2)), [&, due = kaio::linux_kernel::now() + 2'000'000](auto) {
            latest = std::max(latest, kaio::linux_kernel::now() - due);
            if (++ticks != 100) again(again);
        });
        loop.submit(kaio::read(other.fd(), elsewhere, 0), [&](kaio::io_result r) { others += r.bytes() == page; });
    };
    tick(tick);
    while (ticks != 100) loop.run_one();
    CHECK(done < 2);
    CHECK(others >= 99);
    loop.run();
    CHECK(latest < 1'000'000'000);
    CHECK(kaio::linux_kernel::now() - begin > 1'000'000'000);
    CHECK(done == 2);
    CHECK(holds(bytes, 5 * page));
}
