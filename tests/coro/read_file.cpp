#include "coro/random_bytes.hpp"
#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <cerrno>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/coro/read_file.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/sim/kernel.hpp>

TEST_CASE("read_file returns the whole content, with direct I/O and without, with helpers and without") {
    std::mt19937 random(GENERATE(range(1u, 30u)));
    auto const direct = GENERATE(0, O_DIRECT);
    kaio::helpers helpers;
    kaio::loop loop = GENERATE(true, false) ? kaio::loop(8, helpers) : kaio::loop(8);
    test::temporary_file const plain;
    std::vector<std::byte> const content = test::random_bytes(random, test::random_length(random));
    REQUIRE(::pwrite(plain.fd(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
    kaio::file const file = kaio::file::open(plain.path(), O_RDONLY | direct);
    auto read = kaio::sync_wait(loop, kaio::read_file(loop, file));
    REQUIRE(read);
    CHECK(*read == content);
    read = kaio::sync_wait(loop, kaio::read_file(loop, plain.path().c_str()));
    REQUIRE(read);
    CHECK(*read == content);
}

TEST_CASE("read_file reads what has no size of its own to its end") {
    kaio::loop loop(8);
    auto const zones = kaio::sync_wait(loop, kaio::read_file(loop, "/proc/zoneinfo"));
    if (zones.error() == std::errc::invalid_argument) SKIP_TEST("this kernel's io_submit does not read /proc");
    REQUIRE(zones);
    REQUIRE(zones->size() > 4096);
    std::string const text(reinterpret_cast<const char*>(zones->data()), zones->size());
    CHECK(text.find("Node 0") == 0);
    CHECK(text.back() == '\n');
    CHECK(text.find('\0') == std::string::npos);
}

TEST_CASE("read_file reads a simulated file, whatever stops short") {
    for (std::uint64_t seed = 0; seed < test::rounds(100); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(static_cast<unsigned>(seed));
        kaio::sim::world world(seed, {.short_transfers = 0.3, .no_room = 0.1, .interrupts = 0.1});
        kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
        auto const file = world.open("file", {.direct = seed % 3 != 0, .alignment = {512, 4096}});
        std::vector<std::byte> const content = test::random_bytes(random, test::random_length(random));
        file.put(0, content);
        auto const read = kaio::sync_wait(loop, kaio::read_file(loop, file));
        REQUIRE(read);
        REQUIRE(*read == content);
    }
}

TEST_CASE("read_file returns why it can't read") {
    kaio::loop loop(8);
    test::temporary_file const plain(10);
    auto const error_of = [&](const char* path) {
        auto const read = kaio::sync_wait(loop, kaio::read_file(loop, path));
        return read.error().value();
    };
    CHECK(error_of((plain.path() + ".none").c_str()) == ENOENT);
    CHECK(error_of("/dev/shm") == EINVAL);
    CHECK(error_of((plain.path() + "/in").c_str()) == ENOTDIR);
    kaio::file const unreadable = kaio::file::open(plain.path(), O_WRONLY);
    auto const read = kaio::sync_wait(loop, kaio::read_file(loop, unreadable));
    CHECK(read.error().value() == EBADF);
}

TEST_CASE("read_file of more than memory can hold returns ENOMEM") {
    struct endless {
        static int fd() noexcept { return -1; }
        static bool direct() noexcept { return false; }
        static kaio::file_alignment alignment() noexcept { return {1, 1}; }
        static kaio::result<std::uint64_t> try_size() noexcept { return UINT64_MAX / 2; }
    };
    kaio::loop loop(8);
    endless const file;
    auto const read = kaio::sync_wait(loop, kaio::read_file(loop, file));
    CHECK(read.error() == std::errc::not_enough_memory);
}
