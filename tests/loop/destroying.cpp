#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("destroying a loop completes everything: in flight with its result, polls and the rest with ECANCELED") {
    test::silent_eventfd event;
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    std::vector<std::int64_t> polls, reads, late;
    {
        kaio::loop loop(4);
        for (int i = 0; i < 3; ++i)
            loop.submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { polls.push_back(r.res()); });
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) {
            reads.push_back(r.res());
            loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result s) { late.push_back(s.res()); });
        });
        loop.flush();
        for (int i = 0; i < 20; ++i)
            loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { late.push_back(r.res()); });
        CHECK(loop.in_flight() == 4);
        CHECK(loop.queued() == 20);
    }
    CHECK(polls == std::vector<std::int64_t>(3, -ECANCELED));
    CHECK(reads == std::vector<std::int64_t>{64});
    CHECK(late == std::vector<std::int64_t>(21, -ECANCELED));
}

TEST_CASE("destroying a loop waits for what can't be cancelled, and its handler gets the result") {
    test::script script;
    for (unsigned i = 1; i < 10; ++i) script.cancel[i] = -EINVAL;
    test::silent_eventfd late;
    script.before_getevents = [&late] { ::eventfd_write(late.fd, 1); };
    int heard = 0;
    {
        test::scripted_loop loop(2, {}, test::scripted_kernel(script));
        loop.submit(kaio::poll(late.fd, POLLIN), [&](kaio::io_result r) { heard = r.poll_events(); });
        loop.flush();
    }
    CHECK(heard == POLLIN);
}

TEST_CASE("destroying a loop cancels the polls that are in flight, and no others") {
    test::script script;
    test::silent_eventfd first, second, third;
    int ended = 0;
    auto const count = [&](kaio::io_result) { ++ended; };
    kaio::owned_operation a(count), b(count), c(count);
    {
        test::scripted_loop loop(4, {}, test::scripted_kernel(script));
        loop.submit(kaio::poll(first.fd, POLLIN), a);
        loop.submit(kaio::poll(second.fd, POLLIN), b);
        loop.submit(kaio::poll(third.fd, POLLIN), c);
        loop.flush();
        for (int const fd : {second.fd, first.fd}) { // the one in the middle ends before its neighbour
            ::eventfd_write(fd, 1);
            loop.run_one();
        }
        CHECK(ended == 2);
    }
    CHECK(ended == 3);
    CHECK(script.cancels == 1);
}

TEST_CASE("a loop that is destroyed inside a handler of its own ends the program with a message when that returns") {
    int const which = GENERATE(range(0, 6));
    test::temporary_file const said(0);
    int const status = test::in_child([&] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::dup2(said.fd(), STDERR_FILENO);
        test::temporary_file file(64);
        std::vector<char> buffer(64);
        auto loop = std::make_unique<kaio::loop>(4);
        auto const end = [&loop](auto...) { loop.reset(); };
        auto const end_and_throw = [&loop](kaio::io_result) {
            loop.reset();
            throw std::runtime_error("and then");
        };
        if (which == 0) loop->submit(kaio::read(file, buffer, 0), end);
        if (which == 1) loop->submit(kaio::after(0ms), end);
        if (which == 2) loop->post(end);
        if (which == 3) loop->submit(kaio::read(file, buffer, 0), end_and_throw);
        if (which == 4) loop->submit(kaio::after(0ms), [&](kaio::io_result) { loop->post(end), loop->run(); });
        if (which == 5) { // to leave by exit is another matter: nothing returns
            loop->submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
                loop.reset();
                ::_exit(5);
            });
        }
        loop->run_one();
        return 0;
    });
    if (which == 5) {
        CHECK(status == 5);
        return;
    }
    CHECK(status == 1000 + SIGABRT);
    char text[512] = {};
    (void)!::pread(said.fd(), text, sizeof text - 1, 0);
    CHECK_THAT(std::string(text), test::ContainsSubstring("destroyed inside one of its own handlers") &&
                                      test::ContainsSubstring("when run has returned"));
}

TEST_CASE("a child that destroys a loop calls no handler") {
    int called = 0;
    auto const loop = std::make_unique<kaio::loop>(2);
    loop->submit(kaio::after(kaio::duration()), [&](kaio::io_result) { ++called; }); // for ever
    CHECK(test::in_child([&] {
              loop->~basic_loop();
              return called;
          }) == 0);
}

TEST_CASE("a forked child may leave by exit: operations that are in flight, waiting or timed are its parent's") {
    test::silent_eventfd event;
    auto const ignore = [](kaio::io_result) {};
    auto loop = std::make_unique<kaio::loop>(1);
    std::vector<std::unique_ptr<kaio::owned_operation<decltype(ignore)>>> operations;
    for (int i = 0; i < 3; ++i) operations.push_back(std::make_unique<kaio::owned_operation<decltype(ignore)>>(ignore));
    loop->submit(kaio::poll(event.fd, POLLIN), *operations[0]);
    loop->submit(kaio::poll(event.fd, POLLIN), *operations[1]);
    loop->submit(kaio::after(1h), *operations[2]);
    loop->flush();
    bool const loop_first = GENERATE(false, true);
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL);
              kaio::loop own(1); // a loop of the child's own makes no difference
              if (loop_first) loop.reset();
              operations.clear();
              return 0;
          }) == 0);
    CHECK(test::in_child([&] { // but what the child has submitted itself does
              std::signal(SIGABRT, SIG_DFL);
              ::close(STDERR_FILENO);
              kaio::loop own(1);
              kaio::owned_operation op(ignore);
              own.submit(kaio::after(1h), op);
              return 0;
          }) == 1000 + SIGABRT);
    loop.reset();
}

TEST_CASE("fork with a live loop: the child can't disturb the parent, may destroy its copy and make its own") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    test::silent_eventfd event;
    auto loop = std::make_unique<kaio::loop>(8);
    int reads = 0, polls = 0;
    for (int i = 0; i < 5; ++i) loop->submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += !!r; });
    loop->submit(kaio::poll(event.fd, POLLIN), [&](kaio::io_result r) { polls += r.poll_events() == POLLIN; });
    loop->flush();
    loop->submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += !!r; });

    int const status = test::in_child([&] {
        if (loop->has_completions()) return 1;
        if (loop->try_poll().error().value() != EINVAL) return 2;
        if (loop->try_run().error().value() != EINVAL) return 3;
        kaio::loop own(8);
        int done = 0;
        for (int i = 0; i < 100; ++i) own.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { done += !!r; });
        own.run();
        if (done != 100) return 4;
        if (loop->try_poll().error().value() != EINVAL) return 5;
        loop.reset(); // no handler runs, nothing is waited for
        return reads == 0 && polls == 0 ? 0 : 6;
    });
    CHECK(status == 0);

    ::eventfd_write(event.fd, 1);
    CHECK(loop->run() == 7);
    CHECK(reads == 6);
    CHECK(polls == 1);
}

#ifndef NDEBUG
TEST_CASE("a loop that is destroyed with requests that it never gave to the kernel says how many, in a debug build") {
    int const which = GENERATE(range(0, 5));
    test::temporary_file const said(0);
    CHECK(test::in_child([&] {
              ::dup2(said.fd(), STDERR_FILENO);
              test::temporary_file file(64);
              test::silent_eventfd event;
              std::vector<char> buffer(64);
              auto const ignore = [](kaio::io_result) {};
              try {
                  kaio::loop loop(2);
                  for (int i = 0; i < 5 && which != 0; ++i) loop.submit(kaio::read(file, buffer, 0), ignore);
                  if (which == 0)
                      loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) {
                          loop.submit(kaio::read(file, buffer, 0), ignore); // in the destructor
                      });
                  if (which == 0 || which == 1) loop.flush();
                  if (which == 2) loop.run();
                  if (which == 3) throw std::runtime_error("explains it");
                  loop.submit(kaio::poll(event.fd, POLLIN), ignore);
                  loop.submit(kaio::after(1h), ignore);
              } catch (const std::runtime_error&) {
              }
              return 0;
          }) == 0);
    char text[512] = {};
    (void)!::pread(said.fd(), text, sizeof text - 1, 0);
    if (which == 1) { // there was room for 2
        CHECK_THAT(std::string(text), test::StartsWith("kaio: a loop was destroyed with 3 requests"));
    } else if (which == 4) {
        CHECK_THAT(std::string(text), test::StartsWith("kaio: a loop was destroyed with 5 requests"));
    } else {
        CHECK(std::string(text).empty());
    }
}
#endif
