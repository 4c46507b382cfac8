// Where a file ends: the limit of its size, offsets beyond every file, and files that only grow. Results are the
// kernel's, and nothing is reported as written that was not.
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <sys/stat.h>

#include <kaio/kaio.hpp>

namespace {

template <class What> auto one(kaio::loop& loop, const What& what) {
    if constexpr (std::is_same_v<What, kaio::request>) {
        std::int64_t res = 0;
        loop.submit(what, [&](kaio::io_result r) { res = r.res(); });
        loop.run();
        return res;
    } else {
        kaio::transfer_result all(0, 0);
        loop.submit(what, [&](kaio::transfer_result r) { all = r; });
        loop.run();
        return all;
    }
}

std::string content(int fd) {
    std::string bytes(64, '\0');
    ssize_t const count = ::pread(fd, bytes.data(), bytes.size(), 0);
    bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return bytes;
}

} // namespace

TEST_CASE("a write beyond RLIMIT_FSIZE is short, then EFBIG, and SIGXFSZ ends programs that do not ignore it") {
    constexpr unsigned limit = 8192;
    auto const write_beyond = [&](bool ignored) {
        return test::in_child([&] {
            test::temporary_file const file;
            rlimit const size{limit, limit};
            ::signal(SIGXFSZ, ignored ? SIG_IGN : SIG_DFL);
            rlimit const no_core{0, 0};
            if (::setrlimit(RLIMIT_CORE, &no_core) != 0 || ::setrlimit(RLIMIT_FSIZE, &size) != 0) return 1;
            ::unlink(file.path().c_str()); // a signal runs no destructors
            std::vector<std::byte> const bytes(4 * limit);
            kaio::loop loop(8);
            if (one(loop, kaio::write(file, bytes, 0)) != limit) return 2;
            if (one(loop, kaio::write(file, bytes, limit)) != -EFBIG) return 3;
            if (one(loop, kaio::fully(kaio::write(file, bytes, 0))) != kaio::transfer_result(limit, EFBIG)) return 4;
            struct stat status;
            return ::fstat(file.fd(), &status) == 0 && status.st_size == limit ? 0 : 5;
        });
    };
    CHECK(write_beyond(true) == 0);
    CHECK(write_beyond(false) == 1000 + SIGXFSZ);
}

TEST_CASE("an offset beyond every file is EINVAL for every request, and nothing is written") {
    test::temporary_file const file(4096);
    kaio::loop loop(8);
    std::vector<std::byte> bytes(4096);
    iovec const vector{bytes.data(), bytes.size()};
    kaio::view<const iovec> const vectors(&vector, 1);
    for (std::int64_t const offset : {std::int64_t{-1}, INT64_MIN, INT64_MAX, INT64_MAX - 4095}) {
        CHECK(one(loop, kaio::read(file, bytes, offset)) == -EINVAL);
        CHECK(one(loop, kaio::write(file, bytes, offset)) == -EINVAL);
        CHECK(one(loop, kaio::readv(file, vectors, offset)) == -EINVAL);
        CHECK(one(loop, kaio::writev(file, vectors, offset)) == -EINVAL);
        CHECK(one(loop, kaio::fully(kaio::read(file, bytes, offset))) == kaio::transfer_result(0, EINVAL));
        CHECK(one(loop, kaio::fully(kaio::writev(file, vectors, offset))) == kaio::transfer_result(0, EINVAL));
    }
    // A valid offset far behind the end: no bytes, and no error.
    CHECK(one(loop, kaio::read(file, bytes, INT64_MAX - 4096)) == 0);
    CHECK(one(loop, kaio::fully(kaio::read(file, bytes, INT64_MAX - 4096))) == kaio::transfer_result(0, 0));
    struct stat status;
    REQUIRE(::fstat(file.fd(), &status) == 0);
    CHECK(status.st_size == 4096);
}

TEST_CASE("memory that does not exist is EFAULT, and a buffer without bytes is not an error") {
    test::temporary_file const file(4096);
    kaio::loop loop(8);
    std::byte* const nowhere = nullptr;
    CHECK(one(loop, kaio::write(file, kaio::view<const std::byte>(nowhere, 4096), 0)) == -EFAULT);
    CHECK(one(loop, kaio::fully(kaio::read(file, kaio::view<std::byte>(nowhere, 4096), 0))) ==
          kaio::transfer_result(0, EFAULT));
    CHECK(one(loop, kaio::read(file, kaio::view<std::byte>(nowhere, 0), 0)) == 0);
    CHECK(one(loop, kaio::readv(file, kaio::view<const iovec>(nullptr, 0), 0)) == 0);
    CHECK(one(loop, kaio::fully(kaio::writev(file, kaio::view<const iovec>(nullptr, 0), 0))) ==
          kaio::transfer_result(0, 0));
}

TEST_CASE("a file that was opened with O_APPEND is written at its end, or with noappend at the offset") {
    test::temporary_file const made;
    REQUIRE(::pwrite(made.fd(), "old", 3, 0) == 3);
    kaio::file const file = kaio::file::open(made.path(), O_RDWR | O_APPEND);
    kaio::loop loop(8);
    CHECK(one(loop, kaio::write(file, std::string_view("new"), 0)) == 3);
    CHECK(content(file.fd()) == "oldnew");
    std::int64_t const res = one(loop, kaio::write(file, std::string_view("NEW"), 0).flags(kaio::rw_flags::noappend));
    if (res == -EOPNOTSUPP) SKIP_TEST("this kernel (before 6.9) or file system has no RWF_NOAPPEND");
    CHECK(res == 3);
    CHECK(content(file.fd()) == "NEWnew");
}
