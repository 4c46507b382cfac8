// Direct I/O on whatever KAIO_MEDIUM names: a block device (whose content is lost) or a folder on some file system;
// without it, as other tests, in $TMPDIR or memory. tests/filesystems/run.py runs this on each medium that it can make.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <kaio/kaio.hpp>

namespace {

constexpr std::int64_t size = 8 << 20;

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
            REQUIRE(::ftruncate(file.fd(), size) == 0); // a hole, to be filled by writes in any order
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

// Random reads and writes of 1 to 16 units, never two at once on one unit, each read held against what was written.
class traffic {
public:
    static constexpr unsigned depth = 32, most = 16;

    traffic(const kaio::file& file, kaio::reaping how, unsigned seed)
        : file_(file), unit_(file.alignment().offset), written_(size / unit_), busy_(size / unit_), random_(seed),
          loop_(depth, {.setup = {.events = how}}) {
        // As unaligned as the file says it may be, and no more.
        for (unsigned i = 0; i < depth; ++i) memory_.emplace_back(most * unit_ + 4096, 4096);
    }

    void run(unsigned requests) {
        left_ = requests;
        for (unsigned slot = 0; slot < depth; ++slot) submit(slot);
        loop_.run();
    }

    // Everything, read in another way.
    void check_all() {
        kaio::aligned_buffer all(size);
        REQUIRE(::pread(file_.fd(), all.data(), size, 0) == size);
        for (std::size_t u = 0; u < written_.size(); ++u) wrong_ += !holds(all.data() + u * unit_, u);
    }

    unsigned wrong() const { return wrong_; }
    unsigned completed() const { return completed_; }

private:
    void submit(unsigned slot) {
        if (left_ == 0) return;
        --left_;
        std::size_t count = 1 + random_() % most, first;
        do first = random_() % (written_.size() - count);
        while (overlaps(first, count));
        for (std::size_t u = first; u < first + count; ++u) busy_[u] = true;
        auto const place = file_.alignment().memory * (random_() % (4096 / file_.alignment().memory));
        auto const bytes = std::span<std::byte>(memory_[slot]).subspan(place, count * unit_);
        auto const offset = static_cast<std::int64_t>(first * unit_);
        bool const write = random_() % 2 == 0;
        if (write)
            for (std::size_t u = 0; u < count; ++u) {
                written_[first + u] = ++stamp_;
                for (std::size_t i = 0; i < unit_; i += 8) std::memcpy(&bytes[u * unit_ + i], &stamp_, 8);
            }
        auto const request = write ? kaio::write(file_, bytes, offset) : kaio::read(file_, bytes, offset);
        loop_.submit(request, [this, slot, first, bytes, write](kaio::io_result r) {
            wrong_ += r.bytes() != bytes.size();
            std::size_t const count_done = bytes.size() / unit_;
            for (std::size_t u = 0; u < count_done; ++u) {
                busy_[first + u] = false;
                wrong_ += !write && !holds(bytes.data() + u * unit_, first + u);
            }
            ++completed_;
            submit(slot);
        });
    }

    bool overlaps(std::size_t first, std::size_t count) const {
        for (std::size_t u = first; u < first + count; ++u)
            if (busy_[u]) return true;
        return false;
    }

    bool holds(const std::byte* bytes, std::size_t u) const {
        for (std::size_t i = 0; i < unit_; i += 8)
            if (std::memcmp(bytes + i, &written_[u], 8) != 0) return false;
        return true;
    }

    const kaio::file& file_;
    std::size_t const unit_;
    std::vector<std::uint64_t> written_; // what each unit of the file is filled with
    std::vector<bool> busy_;
    std::uint64_t stamp_ = 0;
    unsigned left_ = 0, completed_ = 0, wrong_ = 0;
    std::mt19937 random_;
    std::vector<kaio::aligned_buffer> memory_;
    kaio::loop loop_;
};

} // namespace

TEST_CASE("reads and writes in flight together, at the alignment that the file reports: every byte is right") {
    auto const how = GENERATE(kaio::reaping::automatic, kaio::reaping::syscall);
    medium m;
    REQUIRE(m.file.direct());
    traffic t(m.file, how, 11);
    t.run(3000);
    CHECK(t.completed() == 3000);
    t.check_all();
    CHECK(t.wrong() == 0);
}

TEST_CASE("vectors, and durable writes") {
    medium m;
    std::size_t const unit = m.file.alignment().offset;
    kaio::loop loop(4);
    kaio::aligned_buffer out(2 * unit, 4096), in(2 * unit, 4096);
    std::memset(out.data(), 'a', unit);
    std::memset(out.data() + unit, 'b', unit);
    iovec const swapped[] = {{out.data() + unit, unit}, {out.data(), unit}};
    auto const both = static_cast<std::int64_t>(2 * unit);
    CHECK(result_of(loop, kaio::writev(m.file, swapped, 0).flags(kaio::rw_flags::dsync)) == both);
    CHECK(result_of(loop, kaio::fdatasync(m.file)) == 0);
    CHECK(result_of(loop, kaio::fsync(m.file)) == 0);
    CHECK(result_of(loop, kaio::read(m.file, in, 0)) == both);
    CHECK(in.data()[0] == std::byte{'b'});
    CHECK(in.data()[2 * unit - 1] == std::byte{'a'});
    iovec const back[] = {{in.data() + unit, unit}, {in.data(), unit}};
    CHECK(result_of(loop, kaio::readv(m.file, back, 0)) == both);
    CHECK(std::memcmp(in.data(), out.data(), 2 * unit) == 0);
}

TEST_CASE("at the end: a short read, then none, and a device does not grow") {
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
