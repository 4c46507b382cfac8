#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <kaio/kaio.hpp>

namespace {

std::vector<std::byte> random_bytes(std::mt19937& random, std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t at = 0; at < size; at += 4) {
        auto const word = static_cast<std::uint32_t>(random());
        std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(4, size - at));
    }
    return bytes;
}

// Lengths around what matters: units, pieces of a MiB, and in between.
std::size_t some_length(std::mt19937& random) {
    constexpr std::size_t edges[] = {0, 512, 4096, 1 << 20, 3 << 20};
    std::size_t const edge = edges[random() % std::size(edges)];
    switch (random() % 3) {
    case 0:
        return edge;
    case 1:
        return edge + random() % 3;
    default:
        return random() % (edge + 5000);
    }
}

} // namespace

TEST_CASE("write_file and read_range agree with pread, for any length, offset and address, direct and not") {
    std::mt19937 random(GENERATE(range(1u, 40u)));
    auto const direct = GENERATE(0, O_DIRECT);
    test::temporary_file plain(some_length(random)); // what was there before is replaced
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR | direct);
    kaio::loop loop(8);

    std::size_t const length = some_length(random), shift = random() % 2 == 0 ? 0 : random() % 600;
    std::vector<std::byte> const data = random_bytes(random, length + shift);
    kaio::aligned_buffer aligned(length + 4096);
    std::copy_n(data.begin(), length, aligned.data() + shift);
    auto const put =
        kaio::sync_wait(loop, kaio::write_file(loop, file, std::span<const std::byte>(aligned.data() + shift, length)));
    CHECK(put == kaio::transfer_result(length, 0));
    REQUIRE(file.size() == length);
    std::vector<std::byte> back(length);
    REQUIRE(::pread(plain.fd(), back.data(), length, 0) == static_cast<ssize_t>(length));
    REQUIRE(std::equal(back.begin(), back.end(), data.begin()));

    for (int i = 0; i < 10; ++i) {
        std::size_t const offset = random() % (length + 1000), wanted = some_length(random);
        std::size_t const there = offset < length ? std::min(wanted, length - offset) : 0;
        kaio::aligned_buffer memory(wanted + 1024);
        std::span<std::byte> const out(memory.data() + (random() % 2 == 0 ? 0 : random() % 1000), wanted);
        auto const got = kaio::sync_wait(loop, kaio::read_range(loop, file, out, static_cast<std::int64_t>(offset)));
        REQUIRE(got == kaio::transfer_result(there, 0));
        REQUIRE(std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(there),
                           data.begin() + static_cast<std::ptrdiff_t>(there == 0 ? 0 : offset)));
    }
}

TEST_CASE("write_file refuses a file to which everything is appended, and leaves it alone") {
    test::temporary_file plain(1000);
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR | O_APPEND);
    kaio::loop loop(8);
    std::vector<std::byte> const bytes(3 << 20);
    CHECK(kaio::sync_wait(loop, kaio::write_file(loop, file, bytes)) == kaio::transfer_result(0, EINVAL));
    CHECK(file.size() == 1000);
}

TEST_CASE("errors of write_file and read_range say how far they came") {
    test::temporary_file plain(3 << 20);
    kaio::loop loop(8);
    std::vector<std::byte> bytes(3 << 20);
    kaio::file const unwritable = kaio::file::open(plain.path(), O_RDONLY);
    CHECK(kaio::sync_wait(loop, kaio::write_file(loop, unwritable, bytes)) == kaio::transfer_result(0, EBADF));
    CHECK(unwritable.size() == 3 << 20); // the size was not set
    kaio::file const unreadable = kaio::file::open(plain.path(), O_WRONLY);
    CHECK(kaio::sync_wait(loop, kaio::read_range(loop, unreadable, bytes, 0)) == kaio::transfer_result(0, EBADF));

    // A limit in the middle: the pieces before it are there.
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR | O_TRUNC);
    rlimit before{}, limit{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    limit = before;
    limit.rlim_cur = (1 << 20) + 5000;
    auto* const old = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    auto const put = kaio::sync_wait(loop, kaio::write_file(loop, file, bytes));
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    CHECK(put.bytes() == limit.rlim_cur);
    CHECK(put.error() == std::errc::file_too_large);
}

TEST_CASE("a range at the very end of what an offset can say ends, and one beyond it is EINVAL") {
    test::temporary_file file(4096);
    kaio::file const opened = kaio::file::open(file.path(), O_RDONLY);
    kaio::loop loop(4);
    std::vector<std::byte> out(3000000);
    kaio::view<std::byte> const bytes(out.data(), out.size());
    auto const read = [&](std::int64_t offset) {
        return kaio::sync_wait(loop, kaio::read_range(loop, opened, bytes, offset));
    };
    kaio::transfer_result const last =
        read(INT64_MAX - 3000000); // nothing is there, or the file system has no such place
    CHECK(last.bytes() == 0);
    CHECK(read(INT64_MAX - 2999999) == kaio::transfer_result(0, EINVAL));
    CHECK(read(-1) == kaio::transfer_result(0, EINVAL));
}
