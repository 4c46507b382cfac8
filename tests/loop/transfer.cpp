#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <sys/mman.h>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

// The real kernel, but the n-th request transfers at most so many bytes: its iocb is cut on the way. In a vector, the
// pieces behind the cut are left out.
class short_kernel : public test::scripted_kernel {
public:
    struct plan {
        std::map<unsigned, std::size_t> most; // request number, from 1 → bytes
        std::map<unsigned, long> errors;      // request number → what io_submit gives for it
        std::size_t always = 0;               // the same for all other requests, unless 0
        std::uint64_t unit = 1;               // EINVAL for an offset, or bytes of one buffer, that are no multiple
        unsigned requests = 0;
        std::vector<std::pair<std::int64_t, std::uint64_t>> seen; // offset, and bytes or iovecs
    };
    short_kernel(test::script& s, plan& p) noexcept : scripted_kernel(s), plan_(&p) {}

    long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
        if (count == 0) return 0;
        kaio::iocb& block = **batch;
        ++plan_->requests;
        plan_->seen.emplace_back(block.aio_offset, block.aio_nbytes);
        if (auto const error = plan_->errors.find(plan_->requests); error != plan_->errors.end()) return error->second;
        bool const vector = block.aio_lio_opcode == static_cast<std::uint16_t>(kaio::opcode::preadv) ||
                            block.aio_lio_opcode == static_cast<std::uint16_t>(kaio::opcode::pwritev);
        if ((static_cast<std::uint64_t>(block.aio_offset) | (vector ? 0 : block.aio_nbytes)) % plan_->unit != 0)
            return -EINVAL;
        auto const found = plan_->most.find(plan_->requests);
        std::size_t const most = found != plan_->most.end() ? found->second : plan_->always;
        if (found == plan_->most.end() && most == 0) return scripted_kernel::io_submit(id, 1, batch);
        kaio::iocb const whole = block;
        std::array<iovec, 16> cut{};
        if (!vector) {
            block.aio_nbytes = std::min<std::uint64_t>(block.aio_nbytes, most);
        } else {
            auto const* vector = reinterpret_cast<const iovec*>(block.aio_buf);
            std::size_t left = most, n = 0;
            for (; n < block.aio_nbytes && left > 0; ++n) {
                cut[n] = vector[n];
                cut[n].iov_len = std::min(cut[n].iov_len, left);
                left -= cut[n].iov_len;
            }
            block.aio_buf = reinterpret_cast<std::uintptr_t>(cut.data());
            block.aio_nbytes = n;
        }
        long const taken = scripted_kernel::io_submit(id, 1, batch);
        block = whole;
        return taken;
    }

private:
    plan* plan_;
};
using short_loop = kaio::basic_loop<short_kernel>;

std::vector<unsigned char> expected(std::size_t from, std::size_t count) {
    std::vector<unsigned char> bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = test::temporary_file::content(from + i);
    return bytes;
}

} // namespace

TEST_CASE("fully reads on after short reads, until all is there or the file ends") {
    test::temporary_file file(10'000);
    std::mt19937 random(GENERATE(range(1u, 30u)));
    test::script script;
    short_kernel::plan plan;
    for (unsigned i = 1; i < 40; ++i) plan.most[i] = 1 + random() % 700;
    short_loop loop(4, {}, short_kernel(script, plan));

    std::vector<unsigned char> buffer(1 + random() % 12'000);
    std::size_t const there = std::min<std::size_t>(buffer.size(), 10'000 - 500);
    int calls = 0;
    loop.submit(kaio::fully(kaio::read(file, buffer, 500)), [&](kaio::transfer_result r) {
        ++calls;
        CHECK(r.bytes() == there);
        CHECK_FALSE(r.error());
    });
    CHECK(loop.run() >= 1);
    CHECK(calls == 1);
    buffer.resize(there);
    CHECK(buffer == expected(500, there));
}

TEST_CASE("fully goes through vectors of any shape, and leaves the caller's alone") {
    test::temporary_file file(8000);
    std::mt19937 random(GENERATE(range(1u, 60u)));
    test::script script;
    short_kernel::plan plan;
    for (unsigned i = 1; i < 30; ++i)
        if (random() % 3 != 0) plan.most[i] = 1 + random() % 900;
    short_loop loop(4, {}, short_kernel(script, plan));

    std::vector<std::vector<unsigned char>> pieces(1 + random() % 8);
    std::vector<iovec> vector;
    std::size_t total = 0;
    for (auto& piece : pieces) {
        piece.resize(random() % 4 == 0 ? 0 : random() % 600); // empty ones too
        vector.push_back({piece.data(), piece.size()});
        total += piece.size();
    }
    auto const before = vector;

    auto const wrote = GENERATE(false, true);
    if (wrote) {
        std::size_t n = 0;
        for (auto& piece : pieces)
            for (auto& byte : piece) byte = static_cast<unsigned char>(n++ * 7);
    }
    kaio::transfer_result got(0, EIO);
    auto const note = [&](kaio::transfer_result r) { got = r; };
    if (wrote)
        loop.submit(kaio::fully(kaio::writev(file, vector, 100)), note);
    else
        loop.submit(kaio::fully(kaio::readv(file, vector, 100)), note);
    loop.run();
    CHECK(got == kaio::transfer_result(total, 0));
    CHECK(std::memcmp(before.data(), vector.data(), before.size() * sizeof(iovec)) == 0);

    std::vector<unsigned char> all;
    for (auto const& piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
    if (wrote) {
        std::vector<unsigned char> back(total);
        REQUIRE(::pread(file.fd(), back.data(), total, 100) == static_cast<ssize_t>(total));
        CHECK(back == all);
    } else {
        CHECK(all == expected(100, total));
    }
}

TEST_CASE("fully says how much was done before an error, and goes on after EINTR") {
    test::temporary_file file(4096);
    std::vector<unsigned char> buffer(3000);
    test::script script;
    short_kernel::plan plan;
    plan.most = {{1, 1000}, {2, 500}, {4, 100}};
    plan.errors = {{3, -EINTR}, {5, -ENOSPC}};
    short_loop loop(4, {}, short_kernel(script, plan));
    kaio::transfer_result got(0, 0);
    loop.submit(kaio::fully(kaio::write(file, buffer, 0)), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got.bytes() == 1600);
    CHECK(got.error() == std::errc::no_space_on_device);
    CHECK_FALSE(got);

    plan = {};
    plan.most = {{1, 700}, {2, 0}}; // going on after a write of nothing might never end
    loop.submit(kaio::fully(kaio::write(file, buffer, 0)), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got == kaio::transfer_result(700, EIO));

    loop.submit(kaio::fully(kaio::read(-1, buffer, 0)), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got == kaio::transfer_result(0, EBADF));
}

TEST_CASE("a short direct read of no whole unit is the end of the file, and nothing unaligned is tried") {
    test::temporary_file plain(5000); // ends in the middle of a unit
    auto const opened = kaio::file::try_open(plain.path().c_str(), O_RDONLY | O_DIRECT);
    if (!opened) SKIP_TEST("/dev/shm has no direct I/O");
    kaio::file const& direct = *opened;
    std::size_t const unit = direct.alignment().offset;
    bool const known = GENERATE(true, false); // as a kaio::file, or as an int that tells nothing
    kaio::aligned_buffer buffer(4 * 4096);
    test::script script;
    short_kernel::plan plan;
    plan.most[1] = unit; // a short one that may go on
    short_loop loop(4, {}, short_kernel(script, plan));
    kaio::transfer_result got(0, EIO);
    auto const what = known ? kaio::read(direct, buffer, 0) : kaio::read(direct.fd(), buffer, 0);
    loop.submit(kaio::fully(what), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got == kaio::transfer_result(5000, 0));
    for (auto [offset, bytes] : plan.seen) CHECK(static_cast<std::size_t>(offset) % (known ? unit : 512) == 0);
    CHECK(std::memcmp(buffer.data(), expected(0, 5000).data(), 5000) == 0);
}

TEST_CASE("EINVAL where a whole unit begins is an error, after some bytes of a direct read too") {
    test::temporary_file plain(8192);
    auto const opened = kaio::file::try_open(plain.path().c_str(), O_RDONLY | O_DIRECT);
    if (!opened) SKIP_TEST("/dev/shm has no direct I/O");
    kaio::file const& direct = *opened;
    std::size_t const unit = direct.alignment().offset;
    if (unit > 4096) SKIP_TEST("direct I/O has large units here");
    bool const known = GENERATE(true, false);
    kaio::aligned_buffer buffer(2 * 4096);
    test::script script;
    short_kernel::plan plan;
    plan.most[1] = unit;
    plan.errors[2] = -EINVAL;
    short_loop loop(4, {}, short_kernel(script, plan));
    kaio::transfer_result got(0, EIO);
    auto const what = known ? kaio::read(direct, buffer, 0) : kaio::read(direct.fd(), buffer, 0);
    loop.submit(kaio::fully(what), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got == kaio::transfer_result(unit, EINVAL));
}

namespace {

// A file that was opened without direct I/O and says that it was opened with it, so that any file system will do.
struct direct_file {
    const test::temporary_file& real;
    std::uint32_t unit = 4096;

    int fd() const noexcept { return real.fd(); }
    bool direct() const noexcept { return true; }
    kaio::file_alignment alignment() const noexcept { return {1, unit}; }
};

kaio::transfer_result result_of(short_loop& loop, const kaio::request& what) {
    kaio::transfer_result got(0, EIO);
    loop.submit(kaio::fully(what), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    return got;
}

} // namespace

TEST_CASE("a short direct transfer in the middle of a file is not its end: fully goes on inside the unit") {
    test::temporary_file file(100'000);
    direct_file const direct{file};
    test::script script;
    short_kernel::plan plan;
    plan.always = 10'000;
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> buffer(25 * 4096);
    CHECK(result_of(loop, kaio::read(direct, buffer, 0)) == kaio::transfer_result(100'000, 0));
    CHECK(std::memcmp(buffer.data(), expected(0, 100'000).data(), 100'000) == 0);
    CHECK(plan.requests == 10); // the size told the end

    for (auto& byte : buffer) byte ^= 0x55;
    plan.requests = 0;
    CHECK(result_of(loop, kaio::write(direct, buffer, 0)) == kaio::transfer_result(buffer.size(), 0));
    CHECK(plan.requests == 11);
    std::vector<unsigned char> back(buffer.size());
    REQUIRE(::pread(file.fd(), back.data(), back.size(), 0) == static_cast<ssize_t>(back.size()));
    CHECK(back == buffer);
}

TEST_CASE("where direct I/O refuses to go on inside a unit, fully goes on from the last whole one, in a vector too") {
    test::script script;
    short_kernel::plan plan;
    plan.unit = 4096;
    short_loop loop(4, {}, short_kernel(script, plan));
    for (unsigned seed = 1; seed < test::rounds(100); ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        std::size_t const size = 100'000;
        test::temporary_file file(size);
        direct_file const direct{file};
        plan.always = 4096 + random() % 20'000;

        // Buffers of some units each, of which a few are empty.
        std::vector<unsigned char> bytes(30 * 4096);
        std::vector<iovec> vector;
        for (std::size_t at = 0; at < bytes.size();) {
            std::size_t const length = std::min(random() % 4 * 4096, bytes.size() - at);
            vector.push_back({bytes.data() + at, length});
            at += length;
        }
        bool const one = seed % 2 == 0;
        CHECK(result_of(loop, one ? kaio::read(direct, bytes, 0) : kaio::readv(direct, vector, 0)) ==
              kaio::transfer_result(size, 0));
        CHECK(std::memcmp(bytes.data(), expected(0, size).data(), size) == 0);

        for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
        CHECK(result_of(loop, one ? kaio::write(direct, bytes, 0) : kaio::writev(direct, vector, 0)) ==
              kaio::transfer_result(bytes.size(), 0));
        std::vector<unsigned char> back(bytes.size());
        REQUIRE(::pread(file.fd(), back.data(), back.size(), 0) == static_cast<ssize_t>(back.size()));
        CHECK(back == bytes);
    }
}

TEST_CASE("from the last whole unit means from one at which a whole buffer begins, if the buffers are none") {
    test::temporary_file file(24 * 1024);
    direct_file const direct{file};
    test::script script;
    short_kernel::plan plan;
    plan.unit = 4096;
    plan.most = {{1, 13'000}}; // in the third buffer; the last unit before it begins inside the second
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> bytes(4 * 6144);
    std::vector<iovec> vector;
    for (std::size_t i = 0; i < 4; ++i) vector.push_back({bytes.data() + i * 6144, 6144});
    CHECK(result_of(loop, kaio::readv(direct, vector, 0)) == kaio::transfer_result(bytes.size(), 0));
    CHECK(bytes == expected(0, bytes.size()));
    REQUIRE(plan.seen.size() == 3);
    CHECK(plan.seen[2] == std::pair<std::int64_t, std::uint64_t>(12'288, 2));
}

TEST_CASE("direct I/O that gives less than a unit and refuses to go on inside it ends with EIO, never with success") {
    test::temporary_file file(10'000);
    direct_file const direct{file};
    test::script script;
    short_kernel::plan plan;
    plan.always = 5000;
    plan.unit = 4096;
    plan.most[2] = 1000;
    for (unsigned i = 3; i < 1000; ++i) plan.most[i] = 1000;
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> buffer(3 * 4096);
    CHECK(result_of(loop, kaio::read(direct, buffer, 0)) == kaio::transfer_result(5096, EIO));
    CHECK(plan.requests < 100);
    plan.requests = 0;
    CHECK(result_of(loop, kaio::write(direct, buffer, 0)) == kaio::transfer_result(5096, EIO));
}

TEST_CASE("a file that grows while its last unit is read is read to its new end") {
    test::temporary_file file(5000);
    direct_file const direct{file};
    test::script script;
    short_kernel::plan plan;
    plan.unit = 4096;
    std::vector<unsigned char> const more = expected(5000, 100);
    std::size_t size = 5000;
    script.before_submit = [&] {
        if (size == 5000 + more.size()) return;
        REQUIRE(::pwrite(file.fd(), more.data() + (size - 5000), 1, static_cast<off_t>(size)) == 1);
        ++size;
    };
    // What the kernel reads ends one byte before the file, as if that had grown meanwhile.
    plan.most = {{1, 5000}, {3, 905}, {5, 906}, {7, 907}};
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> buffer(3 * 4096);
    auto const got = result_of(loop, kaio::read(direct, buffer, 0));
    CHECK(got.bytes() == size);
    CHECK_FALSE(got.error());
    CHECK(std::memcmp(buffer.data(), expected(0, size).data(), size) == 0);
}

TEST_CASE("a file that is cut short under a direct read ends where it was cut") {
    test::temporary_file file(20'000);
    direct_file const direct{file};
    test::script script;
    short_kernel::plan plan;
    plan.unit = 4096;
    plan.most = {{1, 10'000}};
    auto const left = static_cast<std::size_t>(GENERATE(9000, 8192, 0));
    script.before_submit = [&] {
        if (plan.requests == 3) REQUIRE(::ftruncate(file.fd(), static_cast<off_t>(left)) == 0);
    };
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> buffer(6 * 4096);
    auto const got = result_of(loop, kaio::read(direct, buffer, 0));
    CHECK(got == kaio::transfer_result(std::max<std::size_t>(left, 8192), 0)); // before that it had been longer
}

TEST_CASE("what is appended is never repeated, even where direct I/O refuses the rest") {
    bool const by_flag = GENERATE(true, false);
    test::temporary_file file(0);
    if (!by_flag) REQUIRE(::fcntl(file.fd(), F_SETFL, O_APPEND) == 0);
    direct_file const direct{file};
    test::script script;
    short_kernel::plan plan;
    plan.most = {{1, 5000}};
    plan.errors = {{2, -EINVAL}};
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> const buffer = expected(0, 8192);
    auto what = kaio::write(direct, buffer, 0);
    if (by_flag) what = what.flags(kaio::rw_flags::append);
    CHECK(result_of(loop, what) == kaio::transfer_result(5000, EINVAL));
    CHECK(::lseek(file.fd(), 0, SEEK_END) == 5000);

    plan = {};
    plan.always = 3000; // and where it is accepted, all is appended once
    CHECK(result_of(loop, what) == kaio::transfer_result(8192, 0));
    CHECK(::lseek(file.fd(), 0, SEEK_END) == 5000 + 8192);
}

TEST_CASE("a pipe in packet mode, which looks like direct I/O, is read until the buffer is full or it is closed") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_DIRECT) == 0);
    for (char const* text : {"one", "two", "three"})
        REQUIRE(::write(ends[1], text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text)));
    kaio::loop loop(4);
    std::array<char, 6> six;
    std::array<char, 100> all;
    kaio::transfer_result got(0, EIO);
    auto const note = [&](kaio::transfer_result r) { got = r; };
    loop.submit(kaio::fully(kaio::read(ends[0], six, 0)), note);
    loop.run();
    CHECK(got == kaio::transfer_result(6, 0));
    CHECK(std::string(six.data(), 6) == "onetwo");
    ::close(ends[1]);
    loop.submit(kaio::fully(kaio::read(ends[0], all, 0)), note);
    loop.run();
    CHECK(got == kaio::transfer_result(5, 0));
    ::close(ends[0]);
}

TEST_CASE("vectors of more than 1024 buffers go in several requests, in whole units for direct I/O") {
    test::temporary_file file(3 << 20);
    test::script script;
    short_kernel::plan plan;
    short_loop loop(4, {}, short_kernel(script, plan));
    std::mt19937 random(1);
    bool const direct = GENERATE(true, false);
    std::vector<unsigned char> bytes;
    std::vector<std::size_t> lengths(1500, 0); // a whole request of empty ones
    while (lengths.size() < 70'000) lengths.push_back(random() % 4 == 0 ? 0 : direct ? 8 : random() % 16);
    lengths[1600] = direct ? 100 : 5; // so that 1024 buffers are no whole units
    if (direct) lengths[1601] = 412;
    std::size_t total = 0;
    for (std::size_t const length : lengths) total += length;
    if (direct) total = (total + 511) / 512 * 512;
    bytes.resize(total);
    std::vector<iovec> vector;
    std::size_t at = 0;
    for (std::size_t const length : lengths) vector.push_back({bytes.data() + at, length}), at += length;
    if (at < total) vector.push_back({bytes.data() + at, total - at});

    auto const read = direct ? kaio::readv(direct_file{file, 512}, vector, 512) : kaio::readv(file, vector, 512);
    if (direct) plan.unit = 512;
    CHECK(result_of(loop, read) == kaio::transfer_result(total, 0));
    CHECK(bytes == expected(512, total));
    for (auto [offset, count] : plan.seen) {
        REQUIRE(count <= 1024);
        if (direct) REQUIRE(offset % 512 == 0);
    }
    CHECK(plan.seen.size() >= total / 16 / 1024);

    for (auto& byte : bytes) byte ^= 0x55;
    auto const write = direct ? kaio::writev(direct_file{file, 512}, vector, 512) : kaio::writev(file, vector, 512);
    CHECK(result_of(loop, write) == kaio::transfer_result(total, 0));
    std::vector<unsigned char> back(total);
    REQUIRE(::pread(file.fd(), back.data(), total, 512) == static_cast<ssize_t>(total));
    CHECK(back == bytes);

    std::fill(vector.begin(), vector.end(), iovec{});
    CHECK(result_of(loop, kaio::readv(file, vector, 0)) == kaio::transfer_result(0, 0));
}

namespace {

// A kernel that does nothing with the bytes, and refuses as a device of large sectors does: what it transfers at once
// must be whole units, and is cut to 0x7ffff000 bytes before it looks.
class large_units_kernel : public test::scripted_kernel {
public:
    struct log {
        std::uint64_t unit;
        std::vector<std::pair<std::int64_t, std::uint64_t>> taken; // offset, bytes
        bool refused = false;
    };
    large_units_kernel(test::script& s, log& l) noexcept : scripted_kernel(s), log_(&l) {}

    long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
        if (count == 0) return 0;
        kaio::iocb& block = **batch;
        std::uint64_t bytes = block.aio_nbytes;
        if (block.aio_lio_opcode == static_cast<std::uint16_t>(kaio::opcode::pwritev)) {
            bytes = 0;
            for (std::uint64_t i = 0; i < block.aio_nbytes; ++i)
                bytes += reinterpret_cast<const iovec*>(block.aio_buf)[i].iov_len;
        }
        bytes = std::min<std::uint64_t>(bytes, 0x7ffff000);
        if ((bytes | static_cast<std::uint64_t>(block.aio_offset)) % log_->unit != 0) {
            log_->refused = true;
            return -EINVAL;
        }
        log_->taken.emplace_back(block.aio_offset, bytes);
        return scripted_kernel::io_submit(id, 1, batch); // to /dev/null
    }

private:
    log* log_;
};

struct null_file {
    int opened = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    std::uint32_t unit = 65536;

    ~null_file() { ::close(opened); }
    int fd() const noexcept { return opened; }
    bool direct() const noexcept { return true; }
    kaio::file_alignment alignment() const noexcept { return {1, unit}; }
};

} // namespace

TEST_CASE("more than 2 GiB on a device with large sectors go in whole sectors") {
    if (sizeof(void*) < 8) SKIP_TEST("an address space of 32 bits has no room for such requests");
    null_file const file;
    std::size_t const size = std::size_t{9} << 29; // 4.5 GiB
    void* const memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) SKIP_TEST("no address space of 4.5 GiB");
    auto* const bytes = static_cast<std::byte*>(memory);
    test::script script;
    large_units_kernel::log log{file.unit, {}};
    kaio::basic_loop<large_units_kernel> loop(4, {}, large_units_kernel(script, log));
    kaio::transfer_result got(0, 0);
    auto const note = [&](kaio::transfer_result r) { got = r; };

    SECTION("of one buffer") {
        loop.submit(kaio::fully(kaio::write(file, kaio::view<const std::byte>(bytes, size), 0)), note);
        loop.run();
        CHECK(log.taken.size() == 3);
    }
    SECTION("of some buffers, one larger than a request, and one that a request ends in") {
        std::size_t const first = 65536 * 3, large = std::size_t{3} << 30;
        std::array<iovec, 4> const vector{iovec{bytes, first}, iovec{bytes + first, large}, iovec{},
                                          iovec{bytes + first + large, size - first - large}};
        loop.submit(kaio::fully(kaio::writev(file, vector, 0)), note);
        loop.run();
    }
    SECTION("of buffers that fill no request exactly") {
        std::vector<iovec> vector;
        for (std::size_t at = 0; at < size; at += std::size_t{192} << 20)
            vector.push_back({bytes + at, std::min(std::size_t{192} << 20, size - at)});
        loop.submit(kaio::fully(kaio::writev(file, vector, 0)), note);
        loop.run();
        CHECK(log.taken.size() == 3);
    }
    CHECK(got == kaio::transfer_result(size, 0));
    CHECK_FALSE(log.refused);
    std::int64_t end = 0;
    for (auto [offset, count] : log.taken) {
        CHECK(offset == end);
        end += static_cast<std::int64_t>(count);
    }
    CHECK(end == static_cast<std::int64_t>(size));
    ::munmap(memory, size);
}

TEST_CASE("on a simulated network file system with units of its own, fully moves every byte") {
    for (std::uint64_t seed = 0; seed < test::rounds(200); ++seed) {
        CAPTURE(seed);
        kaio::sim::world world(seed, {.short_transfers = 0.5, .short_unit = 1000});
        auto const file = world.open("file", {.direct = true, .alignment = {512, 4096}});
        kaio::basic_loop<kaio::sim::kernel> loop(4, {}, world);
        auto& random = world.random();
        std::size_t const size = 4096 * (1 + random.below(30)), end = size - random.below(4096);
        kaio::aligned_buffer data(size), back(size);
        for (auto& byte : data) byte = static_cast<std::byte>(random.below(256));
        std::array<iovec, 3> const out{iovec{data.data(), 4096}, iovec{}, iovec{data.data() + 4096, size - 4096}},
            in{iovec{back.data(), size - 4096}, iovec{}, iovec{back.data() + size - 4096, 4096}};
        kaio::transfer_result put(0, EIO), got(0, EIO);
        loop.submit(kaio::fully(seed % 2 ? kaio::write(file, data, 4096) : kaio::writev(file, out, 4096)),
                    [&](kaio::transfer_result r) { put = r; });
        loop.run();
        REQUIRE(put == kaio::transfer_result(size, 0));
        file.resize(4096 + end);
        loop.submit(kaio::fully(seed % 3 ? kaio::read(file, back, 4096) : kaio::readv(file, in, 4096)),
                    [&](kaio::transfer_result r) { got = r; });
        loop.run();
        REQUIRE(got == kaio::transfer_result(end, 0));
        REQUIRE(std::memcmp(data.data(), back.data(), end) == 0);
    }
}

TEST_CASE("zero bytes are all there at once, and many whole transfers go on side by side") {
    test::temporary_file file(4096);
    kaio::loop loop(8);
    std::vector<unsigned char> none;
    kaio::transfer_result got(1, EIO);
    loop.submit(kaio::fully(kaio::write(file, none, 0)), [&](kaio::transfer_result r) { got = r; });
    loop.run();
    CHECK(got == kaio::transfer_result(0, 0));

    std::vector<std::vector<unsigned char>> buffers(100, std::vector<unsigned char>(64));
    std::size_t done = 0;
    std::array<char, 40> large{}; // makes the handler too large for the slab
    for (std::size_t i = 0; i < buffers.size(); ++i)
        loop.submit(kaio::fully(kaio::read(file, buffers[i], static_cast<std::int64_t>(i))),
                    [&done, i, large](kaio::transfer_result r) { done += r.bytes() == 64 && large[i % 40] == 0; });
    loop.run();
    CHECK(done == 100);
    for (std::size_t i = 0; i < buffers.size(); ++i) REQUIRE(buffers[i] == expected(i, 64));
}

TEST_CASE("an operation that the caller keeps moves every byte too, and may be submitted again in its handler") {
    test::temporary_file file(100'000);
    test::script script;
    short_kernel::plan plan;
    plan.always = 64; // bytes of each request
    short_loop loop(4, {}, short_kernel(script, plan));
    std::vector<unsigned char> buffer(1000);
    struct again {
        short_loop& loop;
        test::temporary_file& file;
        std::vector<unsigned char>& buffer;
        kaio::owned_operation<again>* self = nullptr;
        std::vector<kaio::transfer_result> results{};
        void operator()(kaio::transfer_result r) {
            results.push_back(r);
            if (results.size() < 10) loop.submit(kaio::fully(kaio::read(file, buffer, results.size() * 1000)), *self);
        }
    };
    kaio::owned_operation<again> op({loop, file, buffer});
    op.handler().self = &op;
    loop.submit(kaio::fully(kaio::read(file, buffer, 0)), op);
    loop.run();
    CHECK(op.handler().results == std::vector<kaio::transfer_result>(10, kaio::transfer_result(1000, 0)));
    CHECK(buffer == expected(9000, 1000));
}

TEST_CASE("an operation for whole transfers can be cancelled while it waits, and takes other requests and timers") {
    test::temporary_file file(4096);
    std::vector<unsigned char> buffer(1000);
    std::vector<kaio::transfer_result> results;
    kaio::loop loop(4);
    kaio::owned_operation op([&](kaio::transfer_result r) { results.push_back(r); });
    loop.submit(kaio::fully(kaio::read(file, buffer, 0)), op);
    CHECK(loop.cancel(op));
    loop.run();
    loop.submit(kaio::read(file, buffer, 4000), op);
    loop.run();
    loop.submit(kaio::read(-1, buffer, 0), op);
    loop.run();
    loop.submit(kaio::after(kaio::duration::zero()), op);
    loop.run();
    loop.submit(kaio::fully(kaio::read(file, buffer, 3500)), op);
    loop.run();
    using result = kaio::transfer_result;
    CHECK(results ==
          std::vector<result>{result(0, ECANCELED), result(96, 0), result(0, EBADF), result(0, 0), result(596, 0)});
}
