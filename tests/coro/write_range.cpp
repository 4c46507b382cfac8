#include "coro/random_bytes.hpp"
#include "support/catch.hpp"
#include "support/mounted.hpp"
#include "support/rounds.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <cerrno>
#include <random>
#include <span>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/coro/write_range.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

// What a file of `old` content has after `bytes` were written at `offset`.
std::vector<std::byte> overwritten(std::vector<std::byte> old, const std::vector<std::byte>& bytes,
                                   std::size_t offset) {
    if (!bytes.empty() && old.size() < offset + bytes.size()) old.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), old.begin() + static_cast<std::ptrdiff_t>(bytes.empty() ? 0 : offset));
    return old;
}

void overwrite_at_random(unsigned seed, const std::string& folder, int direct) {
    std::mt19937 random(seed);
    test::temporary_file plain(0, folder);
    std::vector<std::byte> const old = test::random_bytes(random, test::random_length(random));
    REQUIRE(::pwrite(plain.fd(), old.data(), old.size(), 0) == static_cast<ssize_t>(old.size()));
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR | direct);
    kaio::helpers helpers;
    kaio::loop loop = seed % 2 ? kaio::loop(8, helpers) : kaio::loop(8);

    std::vector<std::byte> const content = test::random_bytes(random, test::random_length(random));
    std::size_t const offset = test::random_length(random);
    kaio::aligned_buffer memory(content.size() + 1024);
    std::span<std::byte> const bytes(memory.data() + test::random_shift(random), content.size());
    std::copy(content.begin(), content.end(), bytes.begin());
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, offset)) ==
          kaio::transfer_result(content.size(), 0));
    std::vector<std::byte> const expected = overwritten(old, content, offset);
    REQUIRE(file.size() == expected.size());
    std::vector<std::byte> back(expected.size());
    REQUIRE(::pread(plain.fd(), back.data(), back.size(), 0) == static_cast<ssize_t>(back.size()));
    REQUIRE(back == expected);
}

} // namespace

TEST_CASE("write_range writes any bytes from any memory anywhere, and leaves all others alone") {
    auto const direct = GENERATE(0, O_DIRECT);
    auto const seed = GENERATE(range(1u, test::rounds(60)));
    overwrite_at_random(seed, test::temporary_file::usual_folder(), direct);
}

TEST_CASE("write_range does so where direct I/O wants whole blocks") {
    test::loop_device const device(64 << 20);
    test::make_ext4(device);
    test::mounted const ext4("ext4", device.path(), "");
    for (unsigned seed = 1; seed < test::rounds(60); ++seed) {
        CAPTURE(seed);
        overwrite_at_random(seed, ext4.folder(), O_DIRECT);
    }
}

TEST_CASE("write_range writes any bytes anywhere into a simulated file, whatever stops short") {
    for (std::uint64_t seed = 0; seed < test::rounds(200); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(static_cast<unsigned>(seed));
        kaio::sim::world world(seed, {.short_transfers = 0.3, .no_room = 0.1, .interrupts = 0.1});
        kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
        auto const file = world.open("file", {.direct = seed % 3 != 0, .alignment = {512, 4096}});
        std::vector<std::byte> const old = test::random_bytes(random, test::random_length(random));
        file.put(0, old);
        std::vector<std::byte> const content = test::random_bytes(random, test::random_length(random));
        std::size_t const offset = test::random_length(random);
        REQUIRE(kaio::sync_wait(loop, kaio::write_range(loop, file, content, offset)) ==
                kaio::transfer_result(content.size(), 0));
        REQUIRE(file.content() == overwritten(old, content, offset));
    }
}

TEST_CASE("write_range refuses what it can't do, and leaves the file alone") {
    test::temporary_file plain(1000);
    kaio::loop loop(8);
    std::vector<std::byte> const bytes(100);
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR);
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, -1)) == kaio::transfer_result(0, EINVAL));
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, INT64_MAX - 99)) ==
          kaio::transfer_result(0, EINVAL));
    kaio::file const appending = kaio::file::open(plain.path(), O_RDWR | O_APPEND);
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, appending, bytes, 0)) == kaio::transfer_result(0, EINVAL));
    kaio::file const unwritable = kaio::file::open(plain.path(), O_RDONLY);
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, unwritable, bytes, 0)) == kaio::transfer_result(0, EBADF));
    CHECK(file.size() == 1000);
}

TEST_CASE("write_range reports that a block can't be read, and writes nothing of it") {
    kaio::sim::world world(1);
    kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
    auto const file = world.open("file", {.direct = true, .alignment = {512, 4096}});
    file.put(0, std::vector<std::byte>(8192));
    std::vector<std::byte> const bytes(4096, std::byte{1});
    file.break_range(4096, 1); // in the last block
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, 10)) == kaio::transfer_result(0, EIO));
    file.mend();
    file.break_range(0, 1); // in the first
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, 10)) == kaio::transfer_result(0, EIO));
    CHECK(file.content() == std::vector<std::byte>(8192));
}

TEST_CASE("write_range returns the error of cutting off what a block has behind the end, with all bytes written") {
    struct fixed {
        kaio::sim::file disk;
        int fd() const noexcept { return disk.fd(); }
        bool direct() const noexcept { return disk.direct(); }
        kaio::file_alignment alignment() const noexcept { return disk.alignment(); }
        kaio::result<void> try_truncate(kaio::file_offset) const noexcept { return kaio::failure(EPERM); }
    };
    kaio::sim::world world(1);
    kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
    fixed const file{world.open("file", {.direct = true, .alignment = {512, 4096}})};
    std::vector<std::byte> const bytes(100);
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, 0)) == kaio::transfer_result(100, EPERM));
    CHECK(kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, 3000)) == kaio::transfer_result(100, 0)); // within
}

TEST_CASE("write_range into a full disk says how much it wrote") {
    test::mounted const small("tmpfs", "none", "size=2m");
    test::temporary_file const plain(0, small.folder());
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR);
    kaio::loop loop(8);
    std::vector<std::byte> const bytes(4 << 20);
    kaio::transfer_result const r = kaio::sync_wait(loop, kaio::write_range(loop, file, bytes, 0));
    CHECK(r.error() == std::errc::no_space_on_device);
    CHECK(r.bytes() <= 2 << 20);
}
