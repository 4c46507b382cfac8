// The same as write.cpp in a program that already has an event loop. An eventfd in the epoll set says when to poll.
#include <algorithm>
#include <cstdint>
#include <cstdio>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    std::size_t const size = std::max(1024u, file.alignment().offset); // direct I/O writes whole units
    if (size > 1024) std::printf("this file system writes %zu bytes at a time\n", size);

    kaio::aligned_buffer buffer(size, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});
    kaio::loop loop(128);

    // kaio::file owns any descriptor.
    kaio::file const epoll = kaio::file::adopt(::epoll_create1(EPOLL_CLOEXEC));
    kaio::file const completions = kaio::file::adopt(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event interest{.events = EPOLLIN, .data = {.fd = completions.fd()}};
    ::epoll_ctl(epoll.fd(), EPOLL_CTL_ADD, completions.fd(), &interest);

    loop.submit(kaio::fully(kaio::write(file, buffer, 0).notify(completions.fd())), [](kaio::transfer_result r) {
        std::printf("%zu bytes written\n", r.value("write aio.txt")); // throws if it failed
    });

    for (;;) {
        loop.poll();  // calls the handlers of what has completed
        loop.flush(); // hands the kernel what the handlers have submitted
        if (loop.has_completions()) continue;
        if (loop.in_flight() + loop.queued() == 0) break;

        epoll_event ready;
        if (::epoll_wait(epoll.fd(), &ready, 1, -1) != 1) continue; // a signal
        std::uint64_t count; // read before the next poll, because it may be ahead of what poll() finds, or behind it
        if (::read(completions.fd(), &count, sizeof count) == sizeof count)
            std::printf("epoll: %llu completed\n", static_cast<unsigned long long>(count));
    }
    file.close();
}
