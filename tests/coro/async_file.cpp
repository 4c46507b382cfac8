#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/mounted.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kaio/coro/async_file.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

// A loop, with helpers and without.
struct any_loop {
    kaio::helpers helpers{};
    std::unique_ptr<kaio::loop> made;

    any_loop() : made(GENERATE(true, false) ? new kaio::loop(4, helpers) : new kaio::loop(4)) {}
    kaio::loop& operator*() const { return *made; }
};

// What `make(loop)` makes is awaited. Returns the errno.
template <class Make> int error_of(kaio::loop& loop, Make make) {
    return kaio::sync_wait(loop, [](kaio::loop& of, Make& what) -> kaio::task<int> {
        auto const result = co_await what(of);
        co_return result.error().value();
    }(loop, make));
}
int open_error(kaio::loop& loop, const char* path, int flags) {
    return error_of(loop, [&](kaio::loop& of) { return kaio::async_open(of, path, flags, 0600); });
}
int allocate_error(kaio::loop& loop, const kaio::descriptor& file, std::int64_t offset, std::int64_t size) {
    return error_of(loop, [&](kaio::loop& of) { return kaio::allocate(of, file, offset, size); });
}
int sync_error(kaio::loop& loop, const kaio::descriptor& file, std::int64_t offset, std::int64_t size) {
    return error_of(loop, [&](kaio::loop& of) { return kaio::sync_range(of, file, offset, size); });
}

} // namespace

TEST_CASE("a file is opened, sized, given room, resized and written out") {
    any_loop const loop;
    test::temporary_file const plain(1000);
    auto const work = [](kaio::loop& of, const std::string& path) -> kaio::task<> {
        kaio::result<kaio::file> opened = co_await kaio::async_open(of, path.c_str(), O_RDWR);
        kaio::file const file = std::move(opened).value("open");
        CHECK((::fcntl(file.fd(), F_GETFD) & FD_CLOEXEC) != 0);
        kaio::result<std::uint64_t> size = co_await kaio::async_size(of, file);
        CHECK(size.value() == 1000);

        kaio::result<void> done = co_await kaio::allocate(of, file, 0, 1 << 20);
        done.value("allocate");
        struct stat status;
        REQUIRE(::fstat(file.fd(), &status) == 0);
        CHECK(status.st_blocks * 512 >= 1 << 20);
        CHECK(status.st_size == 1 << 20);
        done = co_await kaio::allocate(of, file, 1 << 20, 1 << 20, FALLOC_FL_KEEP_SIZE);
        done.value("allocate behind the end");
        size = co_await kaio::async_size(of, file);
        CHECK(size.value() == 1 << 20);

        done = co_await kaio::async_resize(of, file, 123);
        done.value("resize");
        size = co_await kaio::async_size(of, file);
        CHECK(size.value() == 123);

        done = co_await kaio::sync_range(of, file, 0, 0);
        done.value("sync");
        done = co_await kaio::sync_range(of, file, 100, 23);
        done.value("sync a part");
    };
    kaio::sync_wait(*loop, work(*loop, plain.path()));
}

TEST_CASE("async_open makes a file with a mode, and returns the error of open") {
    any_loop const loop;
    test::temporary_file const plain(10);
    std::string const fresh = plain.path() + ".new";
    CHECK(open_error(*loop, fresh.c_str(), O_RDWR) == ENOENT);
    CHECK(open_error(*loop, fresh.c_str(), O_RDWR | O_CREAT | O_EXCL) == 0);
    CHECK(open_error(*loop, fresh.c_str(), O_RDWR | O_CREAT | O_EXCL) == EEXIST);
    struct stat status;
    REQUIRE(::stat(fresh.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
    ::unlink(fresh.c_str());
    CHECK(open_error(*loop, "/dev/shm", O_RDWR) == EISDIR);
    CHECK(open_error(*loop, (plain.path() + "/x").c_str(), O_RDWR) == ENOTDIR);
    auto const words = [](kaio::loop& of) -> kaio::task<std::string> {
        kaio::result<kaio::file> const opened = co_await kaio::async_open(of, "/", O_RDONLY | O_DIRECT | O_CREAT);
        co_return opened.error().message();
    };
    CHECK(!kaio::sync_wait(*loop, words(*loop)).empty());
}

TEST_CASE("async_open tells that a file may not be opened") {
    if (::geteuid() != 0) SKIP_TEST("only root can become somebody else");
    test::temporary_file const plain(10); // of mode 0600
    CHECK(test::in_child([&] {
              if (::setuid(65534) != 0) return 1;
              kaio::loop loop(4);
              return open_error(loop, plain.path().c_str(), O_RDONLY) == EACCES ? 0 : 2;
          }) == 0);
}

TEST_CASE("what can't be allocated, resized or written out says why") {
    any_loop const loop;
    test::temporary_file const plain(10);
    kaio::file const unwritable = kaio::file::open(plain.path(), O_RDONLY);
    CHECK(allocate_error(*loop, unwritable, 0, 1) == EBADF);
    CHECK(allocate_error(*loop, plain.fd(), -1, 1) == EINVAL);
    CHECK(allocate_error(*loop, plain.fd(), 0, 0) == EINVAL);
    CHECK(allocate_error(*loop, plain.fd(), INT64_MAX - 1, 4096) == EFBIG);
    CHECK(sync_error(*loop, plain.fd(), -1, 1) == EINVAL);
    CHECK(sync_error(*loop, -1, 0, 0) == EBADF);
    auto const resize = [&](kaio::loop& of) { return kaio::async_resize(of, unwritable, 5); };
    CHECK(error_of(*loop, resize) == EINVAL);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    CHECK(allocate_error(*loop, ends[1], 0, 1) == ESPIPE);
    CHECK(sync_error(*loop, ends[1], 0, 0) == ESPIPE);
    ::close(ends[0]);
    ::close(ends[1]);
    kaio::file const none;
    CHECK(error_of(*loop, [&](kaio::loop& of) { return kaio::async_size(of, none); }) == EBADF);
}

TEST_CASE("allocate finds that the disk is full before a write does") {
    test::mounted const small("tmpfs", "none", "size=1m");
    test::temporary_file const plain(10, small.folder());
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    CHECK(allocate_error(loop, plain.fd(), 0, 1 << 19) == 0);
    CHECK(allocate_error(loop, plain.fd(), 0, 2 << 20) == ENOSPC);
}

TEST_CASE("any file with try_truncate can be resized, and its error comes back") {
    struct fixed {
        static int fd() noexcept { return -1; }
        static bool direct() noexcept { return false; }
        static kaio::file_alignment alignment() noexcept { return {1, 1}; }
        static kaio::result<void> try_truncate(kaio::file_offset) noexcept { return kaio::failure(EPERM); }
    };
    any_loop const loop;
    fixed const file;
    CHECK(error_of(*loop, [&](kaio::loop& of) { return kaio::async_resize(of, file, 5); }) == EPERM);
}
