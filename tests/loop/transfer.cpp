#include "support/catch.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include <kaio/kaio.hpp>

namespace {

// The real kernel, but the n-th request transfers at most so many bytes: its iocb is cut on the way. In a vector, the
// pieces behind the cut are left out.
class short_kernel : public test::scripted_kernel {
public:
    struct plan {
        std::map<unsigned, std::size_t> most; // request number, from 1 → bytes
        std::map<unsigned, long> errors;      // request number → what io_submit gives for it
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
        auto const found = plan_->most.find(plan_->requests);
        if (found == plan_->most.end()) return scripted_kernel::io_submit(id, 1, batch);
        kaio::iocb const whole = block;
        std::array<iovec, 16> cut{};
        auto const op = static_cast<kaio::opcode>(block.aio_lio_opcode);
        if (op == kaio::opcode::pread || op == kaio::opcode::pwrite) {
            block.aio_nbytes = std::min<std::uint64_t>(block.aio_nbytes, found->second);
        } else {
            auto const* vector = reinterpret_cast<const iovec*>(block.aio_buf);
            std::size_t left = found->second, n = 0;
            for (; n < block.aio_nbytes && left > 0; ++n) {
                cut[n] = vector[n];
                cut[n].iov_len = std::min(cut[n].iov_len, left);
                left -= cut[n].iov_len;
            }
            block.aio_buf = reinterpret_cast<std::uintptr_t>(cut.data());
            block.aio_nbytes = n;
        }
        long const taken = scripted_kernel::io_submit(id, 1, batch);
        auto const key = block.aio_key;
        block = whole;
        block.aio_key = key;
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

TEST_CASE("EINVAL after some bytes of a direct read is the end of the file only where the unit is not known") {
    test::temporary_file plain(8192);
    auto const opened = kaio::file::try_open(plain.path().c_str(), O_RDONLY | O_DIRECT);
    if (!opened) SKIP_TEST("/dev/shm has no direct I/O");
    kaio::file const& direct = *opened;
    std::size_t const unit = direct.alignment().offset;
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
    CHECK(got == kaio::transfer_result(unit, known ? EINVAL : 0));
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
