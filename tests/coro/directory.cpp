#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/mounted.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <string>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kaio/coro/directory.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

// An empty directory that is gone at the end of the test, with what is in it.
class temporary_directory {
public:
    explicit temporary_directory(const std::string& folder = test::temporary_file::usual_folder())
        : path_(folder + "/kaio-names-XXXXXX") {
        REQUIRE(::mkdtemp(path_.data()) != nullptr);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;
    ~temporary_directory() { (void)!std::system(("rm -rf " + path_).c_str()); }

    const std::string& path() const { return path_; }
    std::string with(const std::string& name) const { return path_ + "/" + name; }
    // Makes a file there.
    std::string put(const std::string& name) const {
        int const fd = ::open(with(name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        REQUIRE(fd >= 0);
        ::close(fd);
        return with(name);
    }
    bool has(const std::string& name) const { return ::access(with(name).c_str(), F_OK) == 0; }

private:
    std::string path_;
};

int rename(kaio::loop& loop, const std::string& from, const std::string& to) {
    return kaio::sync_wait(loop, [](kaio::loop& of, const char* old, const char* now) -> kaio::task<int> {
        kaio::result<void> const done = co_await kaio::rename(of, old, now);
        co_return done.error().value();
    }(loop, from.c_str(), to.c_str()));
}
int remove(kaio::loop& loop, const std::string& name) {
    return kaio::sync_wait(loop, [](kaio::loop& of, const char* path) -> kaio::task<int> {
        kaio::result<void> const done = co_await kaio::remove(of, path);
        co_return done.error().value();
    }(loop, name.c_str()));
}
int sync_directory(kaio::loop& loop, const std::string& name) {
    return kaio::sync_wait(loop, [](kaio::loop& of, const char* path) -> kaio::task<int> {
        kaio::result<void> const done = co_await kaio::sync_directory(of, path);
        co_return done.error().value();
    }(loop, name.c_str()));
}

} // namespace

TEST_CASE("a file gets another name, and takes that from who had it") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    temporary_directory const there;
    std::string const from = there.put("a");
    CHECK(rename(loop, from, there.with("b")) == 0);
    CHECK_FALSE(there.has("a"));
    CHECK(there.has("b"));
    CHECK(rename(loop, there.put("c"), there.with("b")) == 0);
    CHECK_FALSE(there.has("c"));
    CHECK(sync_directory(loop, there.path()) == 0);
}

TEST_CASE("a rename that can't be done says why, and changes nothing") {
    kaio::loop loop(4); // without helpers they work, too
    temporary_directory const there;
    std::string const file = there.put("file");
    REQUIRE(::mkdir(there.with("folder").c_str(), 0700) == 0);
    CHECK(rename(loop, there.with("none"), there.with("b")) == ENOENT);
    CHECK(rename(loop, file, there.with("none/b")) == ENOENT);
    CHECK(rename(loop, file, there.with("folder")) == EISDIR);
    CHECK(rename(loop, there.with("folder"), file) == ENOTDIR);
    CHECK(rename(loop, there.with("folder"), there.with("folder/in")) == EINVAL);
    CHECK(there.has("file"));
    CHECK(there.has("folder"));
}

TEST_CASE("a rename to another file system says so") {
    test::mounted const other("tmpfs", "none", "size=1m");
    kaio::loop loop(4);
    temporary_directory const there;
    std::string const file = there.put("file");
    CHECK(rename(loop, file, other.folder() + "/file") == EXDEV);
    CHECK(there.has("file"));
}

TEST_CASE("remove removes a file or an empty directory, or says why not") {
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    temporary_directory const there;
    CHECK(remove(loop, there.put("file")) == 0);
    CHECK_FALSE(there.has("file"));
    CHECK(remove(loop, there.with("file")) == ENOENT);
    REQUIRE(::mkdir(there.with("folder").c_str(), 0700) == 0);
    (void)there.put("folder/in");
    CHECK(remove(loop, there.with("folder")) == ENOTEMPTY);
    CHECK(remove(loop, there.with("folder/in")) == 0);
    CHECK(remove(loop, there.with("folder")) == 0);
    CHECK_FALSE(there.has("folder"));
}

TEST_CASE("sync_directory says why it can't") {
    kaio::loop loop(4);
    temporary_directory const there;
    CHECK(sync_directory(loop, there.with("none")) == ENOENT);
    CHECK(sync_directory(loop, there.put("file")) == ENOTDIR);
}

TEST_CASE("names in a directory that may not be written to stay") {
    if (::geteuid() != 0) SKIP_TEST("only root can become somebody else");
    temporary_directory const there; // of mode 0700
    std::string const file = there.put("file");
    CHECK(test::in_child([&] {
              if (::setuid(65534) != 0) return 1;
              kaio::loop loop(4);
              bool const refused = rename(loop, file, there.with("b")) == EACCES && remove(loop, file) == EACCES &&
                                   sync_directory(loop, there.path()) == EACCES;
              return refused ? 0 : 2;
          }) == 0);
    CHECK(there.has("file"));
}
