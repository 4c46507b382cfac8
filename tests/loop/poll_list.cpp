#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

struct ends {
    int read = -1, write = -1;
    ends() {
        int both[2];
        REQUIRE(::pipe2(both, O_CLOEXEC) == 0);
        read = both[0], write = both[1];
    }
    ends(const ends&) = delete;
    ends& operator=(const ends&) = delete;
    ~ends() {
        close(read);
        close(write);
    }
    static void close(int& fd) {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
};

} // namespace

TEST_CASE("closing a polled descriptor ends nothing: the poll keeps its file, hears of it and can be cancelled") {
    ends pipe;
    std::vector<std::int64_t> results;
    auto const note = [&](kaio::io_result r) { results.push_back(r.res()); };
    kaio::owned_operation first(note), second(note);
    kaio::loop loop(4);
    loop.submit(kaio::poll(pipe.read, POLLIN), first);
    loop.submit(kaio::poll(pipe.read, POLLPRI), second);
    loop.flush();
    int const number = pipe.read;
    ends::close(pipe.read);

    // The number may be another file's by now: the poll is not that one's.
    ends other;
    int const taken = other.read == number ? number : ::dup2(other.read, number);
    REQUIRE(taken == number);
    REQUIRE(::write(other.write, "x", 1) == 1);
    loop.poll();
    CHECK(results.empty());
    CHECK(loop.in_flight() == 2);

    REQUIRE(::write(pipe.write, "x", 1) == 1); // no EPIPE: the reading end is open
    CHECK(loop.run_one() == 1);
    REQUIRE(results.size() == 1);
    CHECK((results[0] & POLLIN) != 0);
    CHECK(loop.cancel(second));
    CHECK(loop.run() == 1);
    CHECK(results[1] == -ECANCELED);
    if (other.read != number) ::close(number);
}

TEST_CASE("shutting a polled socket down ends its poll, and no descriptor gives EBADF") {
    int sockets[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    std::int64_t hung_up = 0, none = 0;
    kaio::loop loop(4);
    loop.submit(kaio::poll(sockets[0], POLLIN), [&](kaio::io_result r) { hung_up = r.res(); });
    loop.submit(kaio::poll(-1, POLLIN), [&](kaio::io_result r) { none = r.res(); });
    loop.flush();
    ::shutdown(sockets[0], SHUT_RDWR);
    ::close(sockets[0]);
    CHECK(loop.run() == 2);
    CHECK((hung_up & (POLLIN | POLLHUP)) != 0);
    CHECK(none == -EBADF);
    ::close(sockets[1]);
}

TEST_CASE("polls that are never due fill the loop: a read behind them waits, and goes on when one is cancelled") {
    ends pipe;
    test::temporary_file const file(4096);
    for (unsigned const capacity : {1u, 8u, 200u}) {
        int cancelled = 0;
        auto const note = [&](kaio::io_result r) { cancelled += r.res() == -ECANCELED; };
        kaio::owned_operation first(note);
        char buffer[64];
        std::size_t bytes = 0;
        kaio::loop loop(capacity);
        loop.submit(kaio::poll(pipe.read, POLLIN), first);
        for (unsigned i = 1; i < capacity; ++i) loop.submit(kaio::poll(pipe.read, POLLIN), note);
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { bytes = r.bytes(), loop.stop(); });
        loop.poll();
        CHECK(loop.in_flight() == capacity);
        CHECK(loop.queued() == 1);
        CHECK(loop.cancel(first));
        loop.run();
        CHECK(bytes == sizeof buffer);
        CHECK(cancelled == 1);
    }
}
