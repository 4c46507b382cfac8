// Whole transfers in the folder that KAIO_ODD names, which tests/filesystems/odd.py mounts. On that file system a short
// transfer is not the end of the file. Each whole transfer must move every byte or, if KAIO_ODD_ERROR is set, end with
// that errno.
#include "support/catch.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <unistd.h>

#include <kaio/coro/write_file.hpp>
#include <kaio/kaio.hpp>

namespace {

constexpr std::size_t size = 300'001; // of the file that is read
constexpr std::size_t unit = 4096;    // of direct I/O: FUSE reports none, so kaio::file assumes this
constexpr std::size_t whole = (size + unit - 1) / unit * unit;

std::string in_folder(const char* name) {
    const char* const folder = std::getenv("KAIO_ODD");
    if (!folder) SKIP_TEST("KAIO_ODD names no folder; tests/filesystems/odd.py sets it");
    return std::string(folder) + '/' + name;
}

// Checks the result of a transfer of `wanted` bytes.
void check(kaio::transfer_result got, std::size_t wanted) {
    if (const char* const error = std::getenv("KAIO_ODD_ERROR")) {
        CHECK(got.error().value() == std::atoi(error));
        CHECK(got.bytes() < wanted);
    } else {
        CHECK(got.error().value() == 0);
        CHECK(got.bytes() == wanted);
    }
}
bool is_to_fail() { return std::getenv("KAIO_ODD_ERROR") != nullptr; }

std::byte content(std::size_t i) { return static_cast<std::byte>((i * 31 + i / 4096 * 7) & 0xff); }

bool right(std::span<const std::byte> bytes) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (bytes[i] != content(i)) return false;
    return true;
}

// Makes a file with that content without kaio, and returns its path.
std::string source() {
    std::string const path = in_folder("source");
    int const fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = content(i);
    for (std::size_t at = 0; at < size;) {
        ssize_t const n = ::pwrite(fd, bytes.data() + at, size - at, static_cast<off_t>(at));
        REQUIRE(n > 0);
        at += static_cast<std::size_t>(n);
    }
    ::close(fd);
    return path;
}

std::vector<std::byte> read_back(const std::string& path) {
    int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    std::vector<std::byte> bytes(2 * whole);
    std::size_t have = 0;
    for (ssize_t n; (n = ::pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have))) > 0;)
        have += static_cast<std::size_t>(n);
    ::close(fd);
    bytes.resize(have);
    return bytes;
}

// Divides the buffer into parts of whole units.
std::vector<iovec> vector_of(kaio::aligned_buffer& buffer) {
    std::mt19937 random(7);
    std::vector<iovec> vector;
    for (std::size_t at = 0; at < buffer.size();) {
        std::size_t const length = std::min<std::size_t>(random() % 8 * unit, buffer.size() - at);
        vector.push_back({buffer.data() + at, length});
        at += length;
    }
    return vector;
}

kaio::transfer_result result_of(kaio::loop& loop, const kaio::request& what) {
    kaio::transfer_result got(0, 0);
    loop.submit(kaio::fully(what), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    return got;
}

} // namespace

TEST_CASE("fully(read) and fully(readv) read the whole file") {
    int const direct = GENERATE(0, O_DIRECT);
    kaio::file const file = kaio::file::open(source(), O_RDONLY | direct);
    bool const known = GENERATE(true, false), vector = GENERATE(true, false);
    if (is_to_fail() && !direct) return; // buffered I/O goes on at any offset
    kaio::aligned_buffer buffer(whole + unit);
    auto const buffers = vector_of(buffer);
    kaio::descriptor const source_file = known ? kaio::descriptor(file) : kaio::descriptor(file.fd());
    kaio::loop loop(4);
    check(result_of(loop, vector ? kaio::readv(source_file, buffers, 0) : kaio::read(source_file, buffer, 0)), size);
    if (!is_to_fail()) CHECK(right(std::span(buffer.data(), size)));
}

TEST_CASE("fully(write) and fully(writev) write every byte once") {
    int const direct = GENERATE(0, O_DIRECT);
    std::string const path = in_folder("written");
    bool const known = GENERATE(true, false), vector = GENERATE(true, false);
    if (is_to_fail() && !direct) return;
    kaio::file file = kaio::file::open(path, O_WRONLY | O_CREAT | O_TRUNC | direct, 0600);
    kaio::aligned_buffer buffer(whole);
    for (std::size_t i = 0; i < whole; ++i) buffer.data()[i] = content(i);
    auto const buffers = vector_of(buffer);
    kaio::descriptor const target = known ? kaio::descriptor(file) : kaio::descriptor(file.fd());
    kaio::loop loop(4);
    check(result_of(loop, vector ? kaio::writev(target, buffers, 0) : kaio::write(target, buffer, 0)), whole);
    file.close();
    if (is_to_fail()) return;
    auto const back = read_back(path);
    CHECK(back.size() == whole);
    CHECK(right(back));
}

TEST_CASE("read_range reads any part of the file") {
    int const direct = GENERATE(0, O_DIRECT);
    kaio::file const file = kaio::file::open(source(), O_RDONLY | direct);
    if (is_to_fail() && !direct) return;
    kaio::loop loop(8);
    for (std::size_t const offset : {std::size_t{0}, std::size_t{1}, std::size_t{10'000}, size - 1, size}) {
        std::vector<std::byte> out(size);
        auto const got = kaio::sync_wait(loop, kaio::read_range(loop, file, out, static_cast<std::int64_t>(offset)));
        if (is_to_fail()) {
            if (offset == 0) check(got, size);
            continue;
        }
        check(got, size - offset);
        for (std::size_t i = 0; i < got.bytes(); ++i)
            if (out[i] != content(offset + i)) FAIL("byte " << offset + i << " is wrong");
    }
}

TEST_CASE("write_file makes the bytes the file's whole content") {
    int const direct = GENERATE(0, O_DIRECT);
    std::string const path = in_folder("written");
    if (is_to_fail() && !direct) return;
    kaio::file file = kaio::file::open(path, O_RDWR | O_CREAT | O_TRUNC | direct, 0600);
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = content(i);
    kaio::loop loop(8);
    check(kaio::sync_wait(loop, kaio::write_file(loop, file, bytes)), size);
    file.close();
    if (is_to_fail()) return;
    auto const back = read_back(path);
    CHECK(back.size() == size);
    CHECK(right(back));
}
