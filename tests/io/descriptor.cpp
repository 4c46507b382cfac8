#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <span>
#include <string>

#include <unistd.h>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/loop/loop.hpp>

TEST_CASE("a file is used as its descriptor, and knows what direct I/O accepts") {
    kaio::file const null = kaio::file::open("/dev/null", O_RDWR);
    char byte = 0;
    CHECK(kaio::write(null, std::span(&byte, 1), 0).block().aio_fildes == static_cast<unsigned>(null.fd()));
    CHECK(kaio::descriptor(null).accepts(&byte + 1, 1, 1));
    CHECK(kaio::descriptor(3).accepts(&byte + 1, 1, 1));
    auto const direct = kaio::file::try_open("/dev/shm", O_TMPFILE | O_RDWR | O_DIRECT, 0600);
    if (!direct) SKIP_TEST("/dev/shm has no direct I/O");
    kaio::descriptor const careful(*direct);
    auto* const page = reinterpret_cast<void*>(std::uintptr_t{4096});
    CHECK(careful.accepts(page, 4096, 8192));
    CHECK(!careful.accepts(static_cast<char*>(page) + 1, 4096, 8192));
    CHECK(!careful.accepts(page, 100, 8192));
    CHECK(!careful.accepts(page, 4096, 1));
}

#ifndef NDEBUG
namespace {

struct picky {
    int fd() const noexcept { return 3; }
    bool direct() const noexcept { return true; }
    kaio::file_alignment alignment() const noexcept { return {16, 512}; }
};

// How `body` ends in a child, and what it says on stderr.
struct end {
    int status;
    std::string text;
};
template <class Body> end in_a_child(Body body) {
    int ends[2];
    if (::pipe(ends) != 0) return {0, "no pipe"};
    int const status = test::in_child([&] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::dup2(ends[1], STDERR_FILENO);
        body();
        return 0;
    });
    ::close(ends[1]);
    std::string text(4096, ' ');
    auto const got = ::read(ends[0], text.data(), text.size());
    ::close(ends[0]);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return {status, text};
}

} // namespace

TEST_CASE("a debug build says which of address, length and offset is wrong, its value, and what the file wants") {
    alignas(512) static std::byte memory[1024];
    auto const says = [](const kaio::view<std::byte>& buffer, std::int64_t offset, const std::string& text) {
        end const there = in_a_child([&] { (void)kaio::read(picky(), buffer, offset); });
        CHECK(there.status == 1000 + SIGABRT);
        CHECK(there.text == text);
    };
    says({memory, 100}, 0,
         "kaio: direct I/O: the length 100 is no multiple of 512, which the file wants "
         "(file::alignment)\n");
    says({memory, 512}, 513,
         "kaio: direct I/O: the offset 513 is no multiple of 512, which the file wants "
         "(file::alignment)\n");
    char address[128];
    std::snprintf(address, sizeof address, "kaio: direct I/O: the address %p is no multiple of 16, ",
                  static_cast<void*>(memory + 1));
    says({memory + 1, 512}, 0, address + std::string("which the file wants (file::alignment)\n"));

    end const all = in_a_child([&] { (void)kaio::write(picky(), kaio::view<std::byte>(memory + 1, 1), 1); });
    CHECK_THAT(all.text, test::ContainsSubstring("the address ") && test::ContainsSubstring("the length 1 ") &&
                             test::ContainsSubstring("the offset 1 "));
    end const vector = in_a_child([&] { (void)kaio::readv(picky(), {}, 1); });
    CHECK_THAT(vector.text, test::StartsWith("kaio: direct I/O: the offset 1 is no multiple of 512"));
    end const none = in_a_child([&] { (void)kaio::write(picky(), kaio::view<std::byte>(memory + 16, 512), 512); });
    CHECK(none.status == 0);
    CHECK(none.text.empty());
}

TEST_CASE(
    "when the kernel has refused a request for an int, a debug build says why, if the kernel reports an alignment") {
    alignas(4096) static std::byte memory[4096];
    test::temporary_file plain(4096);
    auto const said = [&](int fd, std::int64_t expected) {
        end const there = in_a_child([&] {
            kaio::loop loop(1);
            std::int64_t result = 0;
            loop.submit(kaio::read(fd, kaio::view<std::byte>(memory, 100), 0),
                        [&](kaio::io_result r) { result = r.res(); });
            loop.run();
            if (result != expected) std::fprintf(stderr, "result %d", static_cast<int>(result));
        });
        CHECK(there.status == 0);
        return there.text;
    };
    CHECK(said(plain.fd(), 100).empty()); // without O_DIRECT everything is right
    CHECK(said(-1, -EBADF).empty());

    test::temporary_file real(4096, ".");
    auto const direct = kaio::file::try_open(real.path().c_str(), O_RDWR | O_DIRECT);
    if (!direct || direct->support() != kaio::direct_support::reported)
        SKIP_TEST("this file system does not report what direct I/O wants");
    std::string const unit = std::to_string(direct->alignment().offset);
    std::string const wants = " is no multiple of " + unit + ", which the file wants (file::alignment)\n";
    CHECK(said(direct->fd(), -EINVAL) == "kaio: direct I/O: the length 100" + wants);

    // Of a vector it names the piece, whether the file is an int or not.
    auto const said_of = [](const kaio::request& request) {
        return in_a_child([&] {
                   kaio::loop loop(1);
                   loop.submit(request, [](kaio::io_result r) {
                       if (r.res() != -EINVAL) std::fprintf(stderr, "result %d", static_cast<int>(r.res()));
                   });
                   loop.run();
               })
            .text;
    };
    std::size_t const whole = direct->alignment().offset;
    iovec const pieces[] = {{memory, whole}, {memory, 100}, {memory + 1, whole}};
    std::string const second = "kaio: direct I/O: the length 100 of piece [1]" + wants;
    CHECK(said_of(kaio::readv(direct->fd(), {pieces, 2}, 0)) == second);
    CHECK(said_of(kaio::writev(direct->fd(), {pieces, 2}, 0)) == second);
    CHECK(said_of(kaio::readv(*direct, {pieces, 2}, 0)) == second);
    CHECK(said_of(kaio::readv(direct->fd(), {pieces, 2}, 1)) == second + "kaio: direct I/O: the offset 1" + wants);
    if (direct->alignment().memory > 1) {
        char address[64];
        std::snprintf(address, sizeof address, "the address %p of piece [2] is no multiple of ",
                      static_cast<void*>(memory + 1));
        CHECK_THAT(said_of(kaio::readv(direct->fd(), pieces, 0)),
                   test::StartsWith(second) && test::ContainsSubstring(address));
    }
}
#endif
