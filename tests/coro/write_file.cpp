#include "coro/random_bytes.hpp"
#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <random>
#include <set>
#include <span>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <kaio/coro/write_file.hpp>
#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

TEST_CASE("write_file makes any bytes, from any memory, the whole file, with direct I/O and without") {
    std::mt19937 random(GENERATE(range(1u, 40u)));
    auto const direct = GENERATE(0, O_DIRECT);
    test::temporary_file plain(test::random_length(random)); // has content before
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR | direct);
    kaio::loop loop(8);

    std::size_t const length = test::random_length(random);
    std::vector<std::byte> const content = test::random_bytes(random, length);
    kaio::aligned_buffer memory(length + 1024);
    std::span<std::byte> const bytes(memory.data() + test::random_shift(random), length);
    std::copy(content.begin(), content.end(), bytes.begin());
    CHECK(kaio::sync_wait(loop, kaio::write_file(loop, file, bytes)) == kaio::transfer_result(length, 0));
    REQUIRE(file.size() == length);
    std::vector<std::byte> back(length);
    REQUIRE(::pread(plain.fd(), back.data(), length, 0) == static_cast<ssize_t>(length));
    REQUIRE(back == content);
}

TEST_CASE("write_file refuses a file with O_APPEND, and leaves it alone") {
    test::temporary_file plain(1000);
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR | O_APPEND);
    kaio::loop loop(8);
    std::vector<std::byte> const bytes(3 << 20);
    CHECK(kaio::sync_wait(loop, kaio::write_file(loop, file, bytes)) == kaio::transfer_result(0, EINVAL));
    CHECK(file.size() == 1000);
}

TEST_CASE("a failed write_file does not set the size") {
    test::temporary_file plain(1000);
    kaio::file const unwritable = kaio::file::open(plain.path(), O_RDONLY);
    kaio::loop loop(8);
    std::vector<std::byte> const bytes(3 << 20);
    CHECK(kaio::sync_wait(loop, kaio::write_file(loop, unwritable, bytes)) == kaio::transfer_result(0, EBADF));
    CHECK(unwritable.size() == 1000);
}

TEST_CASE("a write_file that fails in the middle says how many bytes it wrote before that") {
    test::temporary_file plain;
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR);
    kaio::loop loop(8);
    std::vector<std::byte> const bytes(3 << 20);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit limit = before;
    limit.rlim_cur = (1 << 20) + 5000;
    auto* const old = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    auto const r = kaio::sync_wait(loop, kaio::write_file(loop, file, bytes));
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    CHECK(r.bytes() == limit.rlim_cur);
    CHECK(r.error() == std::errc::file_too_large);
}

TEST_CASE("write_file makes any bytes the whole of a simulated file, whatever stops short") {
    for (std::uint64_t seed = 0; seed < test::rounds(100); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(static_cast<unsigned>(seed));
        kaio::sim::world world(seed, {.short_transfers = 0.3, .no_room = 0.1, .interrupts = 0.1});
        kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
        auto const file = world.open("file", {.direct = seed % 3 != 0, .alignment = {512, 4096}});
        file.put(0, test::random_bytes(random, test::random_length(random))); // has content before
        std::vector<std::byte> const content = test::random_bytes(random, test::random_length(random));
        REQUIRE(kaio::sync_wait(loop, kaio::write_file(loop, file, content)) ==
                kaio::transfer_result(content.size(), 0));
        REQUIRE(file.content() == content);
    }
}

TEST_CASE("write_file and an fdatasync survive power loss, whole and with the file's size") {
    std::set<std::size_t> sizes; // without the fdatasync
    for (std::uint64_t seed = 0; seed < test::rounds(100); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(static_cast<unsigned>(seed));
        kaio::sim::world world(seed);
        auto const file = world.open("file", {.direct = true});
        file.put(0, std::vector<std::byte>(10'000));
        std::vector<std::byte> const content = test::random_bytes(random, 5001);
        {
            kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
            REQUIRE(kaio::sync_wait(loop, kaio::write_file(loop, file, content)));
            if (seed % 2) loop.submit(kaio::fdatasync(file), [](kaio::io_result r) { REQUIRE(r); });
            loop.run();
            world.crash();
        }
        if (seed % 2)
            REQUIRE(file.content() == content);
        else
            sizes.insert(static_cast<std::size_t>(file.size()));
    }
    CHECK(sizes == std::set<std::size_t>{5001, 10'000});
}

TEST_CASE("write_file returns the error of setting the size, with all bytes written") {
    struct fixed {
        kaio::sim::file disk;
        int fd() const noexcept { return disk.fd(); }
        bool direct() const noexcept { return disk.direct(); }
        kaio::file_alignment alignment() const noexcept { return disk.alignment(); }
        kaio::result<void> try_truncate(kaio::file_offset) const noexcept { return kaio::failure(EPERM); }
    };
    kaio::sim::world world(1);
    kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
    fixed const file{world.open("file")};
    std::vector<std::byte> const bytes(100);
    CHECK(kaio::sync_wait(loop, kaio::write_file(loop, file, bytes)) == kaio::transfer_result(100, EPERM));
}
