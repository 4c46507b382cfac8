#include "coro/random_bytes.hpp"
#include "support/catch.hpp"
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
