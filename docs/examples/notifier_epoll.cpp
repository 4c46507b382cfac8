// A program with its own event loop, here epoll, that also uses kaio. The notifier is one more descriptor in the epoll
// set. It stands for everything in the kaio loop: requests, timers, and what other threads post.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include <sys/epoll.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    kaio::aligned_buffer buffer(4096, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});
    int left = 4; // events to wait for: one of the program's own, three of kaio's

    kaio::loop loop(128);
    kaio::notifier notifier(loop); // before anything is submitted, and before other threads post

    int ends[2];
    if (::pipe(ends) != 0) return std::perror("pipe"), 1;
    kaio::file const pipe = kaio::file::adopt(ends[0]), writer = kaio::file::adopt(ends[1]);

    kaio::file const epoll = kaio::file::adopt(::epoll_create1(EPOLL_CLOEXEC));
    auto const watch = [&](int fd) {
        epoll_event interest{.events = EPOLLIN, .data = {.fd = fd}};
        if (::epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, fd, &interest) != 0) std::perror("epoll_ctl");
    };
    watch(pipe.fd());
    watch(notifier.fd());

    loop.submit(kaio::fully(kaio::write(file, buffer, 0)), [&](kaio::transfer_result r) {
        std::printf("%zu bytes written\n", r.value("write aio.txt")); // throws if it failed
        // What a handler submits needs no update(): poll(), which calls the handlers, ends with one.
        loop.submit(kaio::after(20ms), [&](kaio::io_result) { --left, std::puts("20 ms later"); });
        --left;
    });
    notifier.update(); // the write was not submitted by a handler, so the kernel does not have it yet

    std::thread other([&] {
        loop.post([&] { --left, std::puts("posted by another thread"); });
        if (::write(writer.fd(), "a message", 9) != 9) std::perror("write");
    });

    while (left > 0) {
        epoll_event ready;
        if (::epoll_wait(epoll.fd(), &ready, 1, -1) != 1) continue; // a signal
        if (ready.data.fd == notifier.fd()) {
            notifier.poll(); // calls the handlers of what has completed
        } else {
            char text[64];
            auto const size = ::read(pipe.fd(), text, sizeof text);
            if (size > 0) std::printf("from the pipe: %.*s\n", static_cast<int>(size), text);
            --left;
        }
    }
    other.join();
    file.close();
}
