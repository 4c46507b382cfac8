#include "support/catch.hpp"
#include "support/loop_device.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <kaio/io/file.hpp>

TEST_CASE("a file is opened with flags and mode, and is closed again") {
    test::temporary_file temporary;
    std::string const path = temporary.path() + ".new";
    int fd = -1;
    {
        kaio::file const file = kaio::file::open(path, O_RDWR | O_CREAT | O_EXCL, 0640);
        fd = file.fd();
        REQUIRE(file);
        CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(!file.direct());
        struct stat status;
        REQUIRE(::fstat(fd, &status) == 0);
        CHECK((status.st_mode & 0777) == 0640);
        CHECK(kaio::file::try_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0640).error() == std::errc::file_exists);
    }
    CHECK(::fcntl(fd, F_GETFD) == -1);
    ::unlink(path.c_str());
}

TEST_CASE("close reports the error of close(2), and the file is closed in any case") {
    test::temporary_file temporary;
    kaio::file file = kaio::file::open(temporary.path(), O_RDWR);
    int const fd = file.fd();
    file.close();
    CHECK(file.fd() == -1);
    CHECK(::fcntl(fd, F_GETFD) == -1);
    CHECK_NOTHROW(file.close()); // nothing is left to close
    CHECK(file.try_close());

    file = kaio::file::open(temporary.path(), O_RDWR);
    REQUIRE(::close(file.fd()) == 0);
    auto const closed = file.try_close();
    REQUIRE(!closed);
    CHECK(closed.error() == std::errc::bad_file_descriptor);
    CHECK(!file);

    file = kaio::file::open(temporary.path(), O_RDWR);
    REQUIRE(::close(file.fd()) == 0);
    CHECK_THROWS_WITH(file.close(), test::ContainsSubstring("file::close"));
    CHECK(file.fd() == -1);
}

TEST_CASE("the error of a file that can't be opened names the file and the cause") {
    CHECK_THROWS_WITH(kaio::file::open("/nowhere/at/all", O_RDONLY), test::ContainsSubstring("/nowhere/at/all"));
    CHECK(kaio::file::try_open("/nowhere", O_RDONLY).error() == std::errc::no_such_file_or_directory);
    CHECK(kaio::file::try_open("/tmp", O_RDWR).error() == std::errc::is_a_directory);
}

TEST_CASE("if a file system refuses O_DIRECT, the error names that as the cause, with the remedy") {
    auto const refused = kaio::file::try_open("/proc/self/status", O_RDONLY | O_DIRECT);
    REQUIRE(!refused);
    CHECK(refused.error() == std::errc::invalid_argument);
    CHECK_THAT(refused.error().message(), test::ContainsSubstring("refuses O_DIRECT"));
    CHECK_THROWS_WITH(kaio::file::open("/proc/self/status", O_RDONLY | O_DIRECT),
                      test::ContainsSubstring("/proc/self/status") && test::ContainsSubstring("refuses O_DIRECT") &&
                          test::ContainsSubstring("without O_DIRECT"));
}

TEST_CASE("open is retried after a signal") {
    std::string const fifo = test::temporary_file().path() + ".fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    struct sigaction action{}, before;
    action.sa_handler = [](int) {}; // without SA_RESTART
    ::sigaction(SIGUSR1, &action, &before);
    std::thread other([&fifo, opening = ::pthread_self()] {
        for (int i = 0; i < 20; ++i) { // most of them interrupt an open that waits for the other end of the FIFO
            ::pthread_kill(opening, SIGUSR1);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        // This end lets the open succeed. If the open has given up, there is no reader, and nothing to wait for.
        int fd = -1;
        for (int tries = 0; fd < 0 && tries < 1000; ++tries) {
            fd = ::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        ::close(fd);
    });
    auto const opened = kaio::file::try_open(fifo.c_str(), O_RDONLY);
    other.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    ::unlink(fifo.c_str());
    CHECK(opened);
}

TEST_CASE("a descriptor can be adopted, released and moved") {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    kaio::file first = kaio::file::adopt(fd);
    CHECK(first.fd() == fd);
    kaio::file second(std::move(first));
    CHECK(!first);
    CHECK(first.fd() == -1);
    CHECK(second.fd() == fd);
    kaio::file third;
    third = std::move(second);
    CHECK(third.fd() == fd);
    auto& same = third;
    third = std::move(same);
    CHECK(third.fd() == fd);
    CHECK(third.release() == fd);
    CHECK(!third);
    CHECK(::close(fd) == 0);
    CHECK(kaio::file::try_adopt(fd).error() == std::errc::bad_file_descriptor);
    CHECK_THROWS_WITH(kaio::file::adopt(-1), test::ContainsSubstring("descriptor"));
}

TEST_CASE("a regular file has a size, and what is not open has none") {
    test::temporary_file temporary(12'345);
    kaio::file const file = kaio::file::open(temporary.path(), O_RDONLY);
    CHECK(file.size() == 12'345);
    CHECK(kaio::file().try_size().error() == std::errc::bad_file_descriptor);
}

TEST_CASE("truncate cuts a file or lengthens it with zeros, and says why it can't") {
    test::temporary_file plain(1000);
    kaio::file const file = kaio::file::open(plain.path(), O_RDWR);
    file.truncate(file.size() / 2);
    CHECK(file.size() == 500);
    CHECK(file.try_truncate(5000u));
    char last = 'x';
    CHECK(::pread(plain.fd(), &last, 1, 4999) == 1);
    CHECK(last == 0);
    CHECK(file.try_truncate(-1).error().value() == EINVAL);
    kaio::file const reading = kaio::file::open(plain.path(), O_RDONLY);
    CHECK(reading.try_truncate(0).error().value() == EINVAL);
    CHECK_THROWS_WITH(reading.truncate(0), test::StartsWith("kaio: file::truncate"));
    CHECK(kaio::file().try_truncate(0).error().value() == EBADF);
    CHECK(file.size() == 5000);
}

TEST_CASE("a file tells whether it was opened to append") {
    test::temporary_file plain;
    CHECK(kaio::file::open(plain.path(), O_WRONLY | O_APPEND).appends());
    CHECK(!kaio::file::open(plain.path(), O_WRONLY).appends());
    CHECK(!kaio::file().appends());
}

TEST_CASE("alignment is a power of two, and direct I/O at it works") {
    std::string const folder = GENERATE(".", "/dev/shm", "/tmp");
    test::temporary_file temporary(65'536, folder);
    auto const opened = kaio::file::try_open(temporary.path().c_str(), O_RDONLY | O_DIRECT);
    if (!opened) SKIP_TEST("the file system of " + folder + " has no direct I/O");
    kaio::file_alignment const needed = opened->alignment();
    CHECK(opened->direct());
    CHECK(kaio::file::adopt(::fcntl(opened->fd(), F_DUPFD_CLOEXEC, 0)).direct());
    REQUIRE(needed.memory != 0);
    REQUIRE(needed.offset != 0);
    CHECK((needed.memory & (needed.memory - 1)) == 0);
    CHECK((needed.offset & (needed.offset - 1)) == 0);
    alignas(4096) static unsigned char bytes[65'536];
    REQUIRE(needed.offset <= sizeof bytes / 2);
    REQUIRE(4096 % needed.memory == 0);
    CHECK(::pread(opened->fd(), bytes, needed.offset, needed.offset) == static_cast<ssize_t>(needed.offset));
    CHECK(bytes[0] == test::temporary_file::content(needed.offset));
}

TEST_CASE("a pipe with O_DIRECT makes packets, and has no direct I/O") {
    int ends[2];
    if (::pipe2(ends, O_DIRECT | O_CLOEXEC) != 0) SKIP_TEST("this kernel has no packet pipes (3.4)");
    kaio::file const reading = kaio::file::adopt(ends[0]), writing = kaio::file::adopt(ends[1]);
    REQUIRE((::fcntl(writing.fd(), F_GETFL) & O_DIRECT) != 0);
    kaio::kernel_statx status{};
    if (::syscall(SYS_statx, writing.fd(), "", AT_EMPTY_PATH, kaio::statx_type, &status) != 0)
        SKIP_TEST("this kernel has no statx (4.11)");
    CHECK(!writing.direct());
    CHECK(writing.support() == kaio::direct_support::unsupported);
}

TEST_CASE("if nothing reports direct I/O, a file has it if it was opened for it") {
    test::temporary_file temporary(4096);
    kaio::file const plain = kaio::file::open(temporary.path(), O_RDONLY);
    CHECK(!plain.direct());
    CHECK(!plain.direct_ignored());
    if (plain.support() != kaio::direct_support::unknown) SKIP_TEST("this file system reports direct I/O");
    auto const direct = kaio::file::try_open(temporary.path().c_str(), O_RDONLY | O_DIRECT);
    if (!direct) SKIP_TEST("this file system has no O_DIRECT");
    CHECK(direct->direct());
    CHECK(!direct->direct_ignored());
    CHECK(direct->alignment() == kaio::file_alignment{4096, 4096});
}

TEST_CASE("if the alignment is unknown, it is 4096") {
    kaio::file const file = kaio::file::adopt(::eventfd(0, EFD_CLOEXEC));
    CHECK(file.alignment() == kaio::file_alignment{4096, 4096});
    CHECK(kaio::file().alignment() == kaio::file_alignment{4096, 4096});
}

TEST_CASE("a block device has its own size, and its sector is its alignment") {
    unsigned const sector = GENERATE(512u, 4096u);
    test::loop_device device(8 << 20, sector);
    if (!device) SKIP_TEST(device.why_not());
    kaio::file const file = kaio::file::open(device.path(), O_RDWR | O_DIRECT);
    CHECK(file.size() == 8 << 20);
    CHECK(file.alignment().offset == sector);
    CHECK(file.direct());
    CHECK(file.support() == kaio::direct_support::reported);
    CHECK(file.alignment().memory <= 4096);
}
