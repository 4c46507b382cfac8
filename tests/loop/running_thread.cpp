#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

#include <poll.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

#ifndef NDEBUG
TEST_CASE("a debug build notices that a thread calls a loop while another one runs it") {
    int const which = GENERATE(range(0, 12));
    test::temporary_file const said(0);
    int const status = test::in_child([&] {
        std::signal(SIGABRT, SIG_DFL); // not Catch2's
        ::dup2(said.fd(), STDERR_FILENO);
        test::silent_eventfd event;
        auto const ignore = [](kaio::io_result) {};
        auto loop = std::make_unique<kaio::loop>(2);
        kaio::owned_operation poll(ignore);
        kaio::request_scope scope(*loop);
        loop->submit(kaio::poll(event.fd, POLLIN), ignore);
        loop->submit(kaio::after(0ms), [&](kaio::io_result) {
            loop->poll(); // after that the run is still inside
            std::thread([&] {
                if (which == 0) loop->post([] {}); // which any thread may
                if (which == 1) loop->submit(kaio::after(1h), ignore);
                if (which == 2) loop->submit(kaio::poll(event.fd, POLLIN), poll);
                if (which == 3) (void)loop->cancel(poll);
                if (which == 4) loop->flush();
                if (which == 5) loop->poll();
                if (which == 6) loop->run_for(1ms);
                if (which == 7) loop->stop();
                if (which == 8) loop->hold();
                if (which == 9) loop->release();
                if (which == 10) scope.submit(kaio::fsync(event.fd), ignore);
                if (which == 11) loop.reset();
            }).join();
            ::_exit(0);
        });
        loop->run();
        return 1;
    });
    char text[512] = {};
    (void)!::pread(said.fd(), text, sizeof text - 1, 0);
    if (which == 0) {
        CHECK(status == 0);
    } else {
        CHECK(status == 1000 + SIGABRT);
        CHECK_THAT(std::string(text),
                   test::ContainsSubstring(which == 11 ? "before a request_scope" : "while another thread runs it"));
    }
}
#endif

TEST_CASE("a loop may be handed from thread to thread, and a forked child of another thread may destroy it") {
    test::silent_eventfd event;
    int called = 0;
    kaio::loop loop(2);
    auto const count = [&](kaio::io_result) { ++called; };
    std::thread([&] {
        loop.submit(kaio::after(0ms), count);
        loop.run();
        loop.submit(kaio::after(0ms), count);
    }).join();
    loop.run();
    CHECK(called == 2);
    loop.submit(kaio::after(0ms), [&](kaio::io_result) {
        std::thread([&] {
            called = test::in_child([&] {
                loop.stop();
                loop.~basic_loop();
                return 7;
            });
        }).join();
    });
    loop.run();
    CHECK(called == 7);
    loop.submit(kaio::after(0ms), [](kaio::io_result) { throw 1; });
    CHECK_THROWS_AS(loop.run(), int);
    std::thread([&] { loop.submit(kaio::after(0ms), count); }).join(); // nobody is inside
    loop.run();
    CHECK(called == 8);
}
