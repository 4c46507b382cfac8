#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/mounted.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kaio/coro/read_file.hpp>
#include <kaio/coro/replace_file.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

// A directory that is gone at the end of the test, with what is in it.
class temporary_directory {
public:
    explicit temporary_directory(const std::string& folder = test::temporary_file::usual_folder())
        : path_(folder + "/kaio-replace-XXXXXX") {
        REQUIRE(::mkdtemp(path_.data()) != nullptr);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    ~temporary_directory() { (void)!std::system(("rm -rf " + path_).c_str()); }

    const std::string& path() const { return path_; }
    std::string with(const std::string& name) const { return path_ + "/" + name; }
    std::size_t entries() const {
        DIR* const listing = ::opendir(path_.c_str());
        REQUIRE(listing != nullptr);
        std::size_t count = 0;
        while (::readdir(listing) != nullptr) ++count;
        ::closedir(listing);
        return count - 2; // . and ..
    }

private:
    std::string path_;
};

// What the nth content has: so many bytes, each n.
std::vector<std::byte> content(unsigned n) { return std::vector<std::byte>(n * 5000, static_cast<std::byte>(n)); }

int replace(kaio::loop& loop, const std::string& path, const std::vector<std::byte>& bytes, mode_t mode = 0644) {
    auto const done = kaio::sync_wait(loop, kaio::replace_file(loop, path.c_str(), bytes, mode));
    return done.error().value();
}

// What the whole file is the content of, or -1 if it is none.
int found(const std::string& path) {
    int const fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    std::vector<std::byte> bytes(100'000);
    ssize_t const size = ::read(fd, bytes.data(), bytes.size());
    ::close(fd);
    if (size <= 0) return -1;
    bytes.resize(static_cast<std::size_t>(size));
    auto const n = static_cast<unsigned>(bytes[0]);
    return bytes == content(n) ? static_cast<int>(n) : -1;
}

mode_t mode_of(const std::string& path) {
    struct stat status;
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777;
}

} // namespace

TEST_CASE("a file that is not there is made, and one that is there is replaced, with its permissions") {
    kaio::helpers helpers;
    kaio::loop loop = GENERATE(true, false) ? kaio::loop(8, helpers) : kaio::loop(8);
    temporary_directory const there;
    std::string const name = there.with("state");
    mode_t const mask = ::umask(027);
    CHECK(replace(loop, name, content(1), 0666) == 0);
    ::umask(mask);
    CHECK(found(name) == 1);
    CHECK(mode_of(name) == 0640);
    REQUIRE(::chmod(name.c_str(), 04751) == 0);
    CHECK(replace(loop, name, content(2)) == 0);
    CHECK(found(name) == 2);
    CHECK(mode_of(name) == 04751);
    CHECK(replace(loop, name, {}) == 0);
    struct stat status;
    REQUIRE(::stat(name.c_str(), &status) == 0);
    CHECK(status.st_size == 0);
    CHECK(there.entries() == 1);
}

TEST_CASE("a path without a directory is one in the current directory") {
    temporary_directory const there;
    CHECK(test::in_child([&] {
              if (::chdir(there.path().c_str()) != 0) return 1;
              kaio::helpers helpers;
              kaio::loop loop(8, helpers);
              return replace(loop, "state", content(3)) == 0 ? 0 : 2;
          }) == 0);
    CHECK(found(there.with("state")) == 3);
    CHECK(there.entries() == 1);
}

TEST_CASE("at every moment the name has the old content or the new one, whole") {
    kaio::helpers helpers;
    kaio::loop loop(8, helpers);
    temporary_directory const there;
    std::string const name = there.with("state");
    REQUIRE(replace(loop, name, content(1)) == 0);
    bool done = false;
    int wrong = 0, seen = 0;
    std::thread reader([&] {
        while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
            wrong += found(name) < 1;
            ++seen;
        }
    });
    for (unsigned i = 0; i < 300; ++i) REQUIRE(replace(loop, name, content(i % 7 + 1)) == 0);
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    reader.join();
    CHECK(seen > 0);
    CHECK(wrong == 0);
    CHECK(there.entries() == 1);
}

TEST_CASE("two that replace one file at a time do not meet: one of them is last") {
    kaio::helpers helpers(2);
    kaio::loop loop(8, helpers);
    temporary_directory const there;
    std::string const name = there.with("state");
    std::vector<std::byte> const one = content(1), two = content(2);
    auto const both = kaio::sync_wait(
        loop, kaio::when_all(kaio::replace_file(loop, name.c_str(), one), kaio::replace_file(loop, name.c_str(), two)));
    CHECK((std::get<0>(both) && std::get<1>(both)));
    CHECK(found(name) >= 1);
    CHECK(there.entries() == 1);
}

TEST_CASE("a replacement that fails says why, changes nothing and leaves nothing behind") {
    kaio::helpers helpers;
    kaio::loop loop = GENERATE(true, false) ? kaio::loop(8, helpers) : kaio::loop(8);
    temporary_directory const there;
    std::string const name = there.with("state");
    REQUIRE(replace(loop, name, content(1)) == 0);
    CHECK(replace(loop, there.with("none/state"), content(2)) == ENOENT);
    CHECK(replace(loop, name + "/in", content(2)) == ENOTDIR);
    REQUIRE(::mkdir(there.with("folder").c_str(), 0700) == 0);
    CHECK(replace(loop, there.with("folder"), content(2)) == EISDIR);

    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    rlimit limit = before;
    limit.rlim_cur = 6000;
    auto* const old = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int const error = replace(loop, name, content(2));
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, old);
    CHECK(error == EFBIG);
    CHECK(found(name) == 1);
    CHECK(there.entries() == 2);
}

TEST_CASE("a replacement on a full disk fails, and the file stays as it is") {
    test::mounted const small("tmpfs", "none", "size=200k");
    kaio::helpers helpers;
    kaio::loop loop(8, helpers);
    temporary_directory const there(small.folder());
    std::string const name = there.with("state");
    REQUIRE(replace(loop, name, content(10)) == 0);
    CHECK(replace(loop, name, std::vector<std::byte>(1 << 20)) == ENOSPC);
    CHECK(found(name) == 10);
    CHECK(there.entries() == 1);
}

TEST_CASE("a replacement in a directory that may not be written to fails") {
    if (::geteuid() != 0) SKIP_TEST("only root can become somebody else");
    temporary_directory const there; // of mode 0700
    REQUIRE(::chmod(there.path().c_str(), 0755) == 0);
    CHECK(test::in_child([&] {
              if (::setuid(65534) != 0) return 1;
              kaio::loop loop(4);
              return replace(loop, there.with("state"), content(1)) == EACCES ? 0 : 2;
          }) == 0);
    CHECK(there.entries() == 0);
}

TEST_CASE("what was replaced survives power loss") {
    test::loop_device const device(64 << 20);
    test::make_ext4(device);
    kaio::helpers helpers;
    kaio::loop loop(8, helpers);
    for (unsigned n = 1; n != 6; ++n) {
        std::string const after = "/dev/shm/kaio-after-power-loss-" + std::to_string(::getpid());
        {
            // Without the automatic sync of ext4 for a file that is renamed over another, and with no commit by time.
            test::mounted const ext4("ext4", device.path(), "noauto_da_alloc,commit=3600");
            REQUIRE(replace(loop, ext4.folder() + "/state", content(n)) == 0);
            // What the device has at this moment.
            int const copy = ::open(after.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
            off_t from = 0;
            while (::sendfile(copy, device.backing(), &from, 64 << 20) > 0) {
            }
            ::close(copy);
        }
        std::string const folder = "/tmp/kaio-after-XXXXXX";
        std::vector<char> made(folder.begin(), folder.end());
        made.push_back(0);
        REQUIRE(::mkdtemp(made.data()) != nullptr);
        int const mounts = std::system(("mount -o loop " + after + " " + made.data()).c_str());
        int const now = found(std::string(made.data()) + "/state");
        (void)!std::system((std::string("umount ") + made.data() + "; rmdir " + made.data()).c_str());
        ::unlink(after.c_str());
        if (mounts != 0) SKIP_TEST("mounting what is left is not permitted here");
        CHECK(now == static_cast<int>(n));
    }
}
