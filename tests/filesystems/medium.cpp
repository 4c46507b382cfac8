// Direct I/O on what KAIO_MEDIUM names: a block device (whose content is lost) or a folder on some file system. Without
// KAIO_MEDIUM it uses $TMPDIR or memory, as other tests do. tests/filesystems/run.py runs it on each medium that it can
// make.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"
#include "support/traffic.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <kaio/kaio.hpp>

namespace {

constexpr std::int64_t size = test::traffic_size;

struct medium {
    kaio::file file;
    bool device = false;

    medium() {
        const char* const named = std::getenv("KAIO_MEDIUM");
        std::string path = named ? named : test::temporary_file::usual_folder();
        struct stat status;
        REQUIRE(::stat(path.c_str(), &status) == 0);
        device = S_ISBLK(status.st_mode);
        if (!device) {
            path += "/kaio-medium-XXXXXX";
            ::close(::mkstemp(path.data()));
        }
        auto opened = kaio::file::try_open(path.c_str(), O_RDWR | O_DIRECT);
        if (!device) ::unlink(path.c_str());
        if (!opened) SKIP_TEST("the file system of " + path + " has no direct I/O");
        file = std::move(*opened);
        if (!device) {
            REQUIRE(::ftruncate(file.fd(), size) == 0); // a hole, which writes fill in any order
            return;
        }
        kaio::aligned_buffer zeros(size);
        std::memset(zeros.data(), 0, size);
        REQUIRE(::pwrite(file.fd(), zeros.data(), size, 0) == size);
    }

    std::int64_t end() const { return static_cast<std::int64_t>(file.size()); }
};

std::int64_t result_of(kaio::loop& loop, const kaio::request& request) {
    std::int64_t res = -1;
    loop.submit(request, [&](kaio::io_result r) { res = r.res(); });
    loop.run();
    return res;
}

} // namespace

TEST_CASE("reads and writes in flight together at the reported alignment transfer every byte correctly") {
    auto const how = GENERATE(kaio::reaping::automatic, kaio::reaping::syscall);
    medium m;
    REQUIRE(m.file.direct());
    test::traffic t(m.file, 11, {.setup = {.events = how}});
    t.run(3000);
    CHECK(t.completed() == 3000);
    t.check_all();
    CHECK(t.wrong() == 0);
}

TEST_CASE("vectored requests and durable writes work") {
    medium m;
    std::size_t const unit = m.file.alignment().offset;
    kaio::loop loop(4);
    kaio::aligned_buffer written(2 * unit, 4096), seen(2 * unit, 4096);
    std::memset(written.data(), 'a', unit);
    std::memset(written.data() + unit, 'b', unit);
    iovec const swapped[] = {{written.data() + unit, unit}, {written.data(), unit}};
    auto const both = static_cast<std::int64_t>(2 * unit);
    CHECK(result_of(loop, kaio::writev(m.file, swapped, 0).flags(kaio::rw_flags::dsync)) == both);
    CHECK(result_of(loop, kaio::fdatasync(m.file)) == 0);
    CHECK(result_of(loop, kaio::fsync(m.file)) == 0);
    CHECK(result_of(loop, kaio::read(m.file, seen, 0)) == both);
    CHECK(seen.data()[0] == std::byte{'b'});
    CHECK(seen.data()[2 * unit - 1] == std::byte{'a'});
    iovec const back[] = {{seen.data() + unit, unit}, {seen.data(), unit}};
    CHECK(result_of(loop, kaio::readv(m.file, back, 0)) == both);
    CHECK(std::memcmp(seen.data(), written.data(), 2 * unit) == 0);
}

TEST_CASE("reads at the end are short and then empty, and a device does not grow") {
    medium m;
    std::int64_t const unit = m.file.alignment().offset, end = m.end();
    kaio::loop loop(4);
    kaio::aligned_buffer buffer(static_cast<std::size_t>(2 * unit), 4096);
    CHECK(result_of(loop, kaio::read(m.file, buffer, end - unit)) == unit);
    CHECK(result_of(loop, kaio::read(m.file, buffer, end)) == 0);
    CHECK(result_of(loop, kaio::read(m.file, buffer, end + unit)) == 0);
    if (m.device) {
        CHECK(result_of(loop, kaio::write(m.file, buffer, end - unit)) == unit);
        CHECK(result_of(loop, kaio::write(m.file, buffer, end)) == -ENOSPC);
    } else {
        CHECK(result_of(loop, kaio::write(m.file, buffer, end - unit)) == 2 * unit);
        CHECK(m.end() == end + unit);
    }
}

TEST_CASE("fully reads more than 2 GiB at once") {
    medium m;
    if (m.device) SKIP_TEST("the device is smaller");
    constexpr std::size_t part = 64 << 20;
    constexpr std::int64_t large = 33 * std::int64_t{part}; // one part more than the kernel transfers at once
    auto const unit = static_cast<std::int64_t>(m.file.alignment().offset);
    REQUIRE(::ftruncate(m.file.fd(), large) == 0); // a hole
    kaio::loop loop(4);
    kaio::aligned_buffer mark(static_cast<std::size_t>(unit), m.file.alignment().memory), buffer(part);
    std::memset(mark.data(), 'm', mark.size());
    CHECK(result_of(loop, kaio::write(m.file, mark, large - unit)) == unit);
    // All parts use the same memory, which then holds the last part.
    std::vector<iovec> const again(33, iovec{buffer.data(), part});
    kaio::transfer_result got(0, 0);
    loop.submit(kaio::fully(kaio::readv(m.file, again, 0)), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got == kaio::transfer_result(33 * part, 0));
    CHECK(std::memcmp(buffer.data() + part - unit, mark.data(), mark.size()) == 0);
    CHECK(buffer.data()[0] == std::byte{0});
}
