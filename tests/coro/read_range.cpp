#include "coro/random_bytes.hpp"
#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

// A file of a program's own: a real one that it knows by its number alone.
struct own_file {
    const kaio::file& real;
    int fd() const noexcept { return real.fd(); }
    bool direct() const noexcept { return real.direct(); }
    kaio::file_alignment alignment() const noexcept { return real.alignment(); }
};

} // namespace

TEST_CASE("read_range reads any range into any memory, with direct I/O and without") {
    std::mt19937 random(GENERATE(range(1u, 40u)));
    auto const direct = GENERATE(0, O_DIRECT);
    std::size_t const length = test::random_length(random);
    std::vector<std::byte> const content = test::random_bytes(random, length);
    test::temporary_file plain;
    REQUIRE(::pwrite(plain.fd(), content.data(), length, 0) == static_cast<ssize_t>(length));
    kaio::file const file = kaio::file::open(plain.path(), O_RDONLY | direct);
    kaio::loop loop(8);

    for (int i = 0; i < 10; ++i) {
        std::size_t const offset = random() % (length + 1000), wanted = test::random_length(random);
        std::size_t const there = offset < length ? std::min(wanted, length - offset) : 0;
        kaio::aligned_buffer memory(wanted + 1024);
        std::span<std::byte> const out(memory.data() + test::random_shift(random), wanted);
        auto const r = kaio::sync_wait(loop, kaio::read_range(loop, file, out, static_cast<std::int64_t>(offset)));
        REQUIRE(r == kaio::transfer_result(there, 0));
        REQUIRE(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(there),
                           content.begin() + static_cast<std::ptrdiff_t>(there == 0 ? 0 : offset)));
    }
}

TEST_CASE("a failed read_range says so, and how many bytes it read before") {
    test::temporary_file plain(3 << 20);
    kaio::file const unreadable = kaio::file::open(plain.path(), O_WRONLY);
    kaio::loop loop(8);
    std::vector<std::byte> bytes(3 << 20);
    CHECK(kaio::sync_wait(loop, kaio::read_range(loop, unreadable, bytes, 0)) == kaio::transfer_result(0, EBADF));
}

TEST_CASE("a range may end at the last offset there is, and one that begins before 0 or ends beyond that is EINVAL") {
    test::temporary_file plain(4096);
    kaio::file const file = kaio::file::open(plain.path(), O_RDONLY);
    kaio::loop loop(4);
    std::vector<std::byte> bytes(3'000'000);
    auto const read = [&](std::int64_t offset) {
        return kaio::sync_wait(loop, kaio::read_range(loop, file, bytes, offset));
    };
    kaio::transfer_result const last = read(INT64_MAX - 3'000'000);
    CHECK(last.bytes() == 0); // nothing is there, or the file system has no such place
    CHECK(read(INT64_MAX - 2'999'999) == kaio::transfer_result(0, EINVAL));
    CHECK(read(-1) == kaio::transfer_result(0, EINVAL));
}

TEST_CASE("read_range reads any range of a simulated file, whatever stops short") {
    for (std::uint64_t seed = 0; seed < test::rounds(100); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(static_cast<unsigned>(seed));
        kaio::sim::world world(seed, {.short_transfers = 0.3, .no_room = 0.1, .interrupts = 0.1});
        kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
        auto const file = world.open("file", {.direct = seed % 3 != 0, .alignment = {512, 4096}});
        std::size_t const length = test::random_length(random);
        std::vector<std::byte> const content = test::random_bytes(random, length);
        file.put(0, content);

        std::size_t const offset = random() % (length + 1000), wanted = test::random_length(random);
        std::size_t const there = offset < length ? std::min(wanted, length - offset) : 0;
        std::vector<std::byte> out(wanted);
        REQUIRE(kaio::sync_wait(loop, kaio::read_range(loop, file, out, offset)) == kaio::transfer_result(there, 0));
        REQUIRE(std::equal(content.begin() + static_cast<std::ptrdiff_t>(there == 0 ? 0 : offset),
                           content.begin() + static_cast<std::ptrdiff_t>(there == 0 ? 0 : offset + there),
                           out.begin()));
    }
}

TEST_CASE("read_range says how much there is before a part of a simulated file that can't be read") {
    kaio::sim::world world(1);
    kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
    auto const file = world.open("file", {.direct = true});
    std::vector<std::byte> bytes(3 << 20);
    file.put(0, bytes);
    file.break_range((2 << 20) + 512, 512);
    CHECK(kaio::sync_wait(loop, kaio::read_range(loop, file, bytes, 100)) ==
          kaio::transfer_result((2 << 20) + 512 - 100, EIO));
}

TEST_CASE("read_range takes a file of a program's own") {
    test::temporary_file plain(10'000);
    kaio::file const real = kaio::file::open(plain.path(), O_RDONLY | O_DIRECT);
    kaio::loop loop(4);
    std::vector<unsigned char> out(100);
    own_file const file{real};
    CHECK(kaio::sync_wait(loop, kaio::read_range(loop, file, std::as_writable_bytes(std::span(out)),
                                                 real.size() - out.size())) == kaio::transfer_result(100, 0));
    for (std::size_t i = 0; i < out.size(); ++i) REQUIRE(out[i] == test::temporary_file::content(9900 + i));
}
