#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("operations that the caller keeps may be submitted again and destroyed in their own handler") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::loop loop(2);

    struct again {
        kaio::loop& loop;
        test::temporary_file& file;
        std::vector<char>& buffer;
        kaio::operation* self = nullptr;
        int done = 0;
        void operator()(kaio::io_result r) {
            if (r.bytes() == 64 && ++done < 100) loop.submit(kaio::read(file, buffer, 0), *self);
        }
    };
    kaio::owned_operation<again> op({loop, file, buffer});
    op.handler().self = &op;
    loop.submit(kaio::read(file, buffer, 0), op);
    CHECK(loop.run() == 100);
    CHECK(op.handler().done == 100);

    struct suicide {
        std::unique_ptr<kaio::owned_operation<suicide>>* self;
        void operator()(kaio::io_result) { self->reset(); }
    };
    std::unique_ptr<kaio::owned_operation<suicide>> mortal;
    mortal = std::make_unique<kaio::owned_operation<suicide>>(suicide{&mortal});
    loop.submit(kaio::read(-1, buffer, 0), *mortal);
    CHECK(loop.run() == 1);
    CHECK(mortal == nullptr);
}

TEST_CASE("cancel: what waits in the loop, polls in flight, and what can't be cancelled") {
    int const event = ::eventfd(0, EFD_CLOEXEC);
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    std::vector<std::int64_t> results;
    auto const note = [&](kaio::io_result r) { results.push_back(r.res()); };
    using operation = kaio::owned_operation<decltype(note)>;
    kaio::loop loop(2);

    operation read(note), poll(note), first(note), second(note), third(note);
    CHECK(loop.cancel(read).error().value() == EINVAL); // never submitted
    loop.submit(kaio::poll(event, POLLIN), poll);
    loop.flush();
    CHECK(loop.cancel(poll));
    CHECK(loop.run() == 1);
    CHECK(results == std::vector<std::int64_t>{-ECANCELED});
    results.clear();

    loop.submit(kaio::read(file, buffer, 0), read);
    loop.flush(); // tmpfs completes it inside
    CHECK(loop.cancel(read).error().value() == EINVAL);
    loop.submit(kaio::read(file, buffer, 0), first);
    loop.submit(kaio::read(file, buffer, 0), second); // the capacity is 2: it waits
    loop.submit(kaio::read(file, buffer, 0), third);
    CHECK(loop.queued() == 3);
    CHECK(loop.cancel(second));
    CHECK(loop.cancel(first));
    CHECK(loop.queued() == 1);
    CHECK(loop.run() == 4);
    CHECK(results == std::vector<std::int64_t>{-ECANCELED, -ECANCELED, 512, 512});
    ::close(event);
}

TEST_CASE("an operation may be a timer, a poll, a refused request and a read in turn, and each leaves it clean") {
    int const event = ::eventfd(1, EFD_CLOEXEC);
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    std::vector<std::int64_t> results;
    kaio::owned_operation op([&](kaio::io_result r) { results.push_back(r.res()); });
    kaio::loop loop(2);
    for (int round = 0; round < 3; ++round) {
        results.clear();
        loop.submit(kaio::after(0ms), op);
        CHECK(loop.run() == 1);
        loop.submit(kaio::poll(event, POLLIN), op);
        CHECK(loop.run() == 1);
        loop.submit(kaio::read(-1, buffer, 0), op); // refused by io_submit
        CHECK(loop.run() == 1);
        loop.submit(kaio::read(file, buffer, 0), op); // the kernel refuses what is not 0 in its reserved field
        CHECK(loop.run() == 1);
        loop.submit(kaio::read(file, buffer, 0), op);
        CHECK(loop.cancel(op));
        CHECK(loop.run() == 1);
        loop.submit(kaio::after(1h), op);
        CHECK(loop.cancel(op));
        CHECK(loop.run() == 1);
        CHECK(results == std::vector<std::int64_t>{0, POLLIN, -EBADF, 512, -ECANCELED, -ECANCELED});
    }
    ::close(event);
}

TEST_CASE("a request with an opcode that nobody knows is a request like others: it can be cancelled, or is refused") {
    std::vector<std::int64_t> results;
    kaio::owned_operation op([&](kaio::io_result r) { results.push_back(r.res()); });
    kaio::iocb unknown{};
    unknown.aio_lio_opcode = 0xffff;
    unknown.aio_fildes = 0;
    kaio::loop loop(2);
    loop.submit(kaio::request(unknown), op);
    CHECK(loop.cancel(op));
    CHECK(loop.run() == 1);
    loop.submit(kaio::request(unknown), op);
    loop.flush();
    CHECK(loop.cancel(op).error().value() == EINVAL); // it has completed already
    CHECK(loop.run() == 1);
    CHECK(results == std::vector<std::int64_t>{-ECANCELED, -EINVAL});
}

TEST_CASE("destroying an operation before it has completed ends the program with a message") {
    int const status = test::in_child([] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::close(STDERR_FILENO);
        kaio::loop loop(2);
        kaio::owned_operation op([](kaio::io_result) {});
        loop.submit(kaio::after(1h), op);
        return 0;
    });
    CHECK(status == 1000 + SIGABRT);
}
