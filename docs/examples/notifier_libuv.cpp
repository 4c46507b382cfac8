// A libuv program that also uses kaio. A uv_poll_t watches the notifier, which stands for everything in the kaio loop:
// requests, timers, and what other threads post. notifier_epoll.cpp is the same with epoll.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include <uv.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {

struct program {
    uv_loop_t* const uv = ::uv_default_loop();
    kaio::loop loop{128};
    kaio::notifier<kaio::loop> notifier{loop}; // before anything is submitted, and before other threads post
    uv_poll_t watched{};
    uv_timer_t timer{};
    int left = 4; // events to wait for: one of libuv's own, three of kaio's

    void happened(const char* what) {
        std::puts(what);
        if (--left != 0) return;
        ::uv_poll_stop(&watched);                                      // uv_run returns when no handle is active
        ::uv_close(reinterpret_cast<uv_handle_t*>(&watched), nullptr); // before the notifier goes
        ::uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    }
};

} // namespace

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    kaio::aligned_buffer buffer(4096, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});
    program p;

    ::uv_poll_init(p.uv, &p.watched, p.notifier.fd());
    p.watched.data = &p;
    ::uv_poll_start(&p.watched, UV_READABLE, [](uv_poll_t* watched, int, int) {
        static_cast<program*>(watched->data)->notifier.poll(); // calls the handlers of what has completed
    });
    ::uv_timer_init(p.uv, &p.timer);
    p.timer.data = &p;
    ::uv_timer_start(
        &p.timer, [](uv_timer_t* timer) { static_cast<program*>(timer->data)->happened("libuv's timer"); }, 1, 0);

    p.loop.submit(kaio::fully(kaio::write(file, buffer, 0)), [&](kaio::transfer_result r) {
        std::printf("%zu bytes written\n", r.value("write aio.txt")); // throws if it failed
        // What a handler submits needs no update(): poll(), which calls the handlers, ends with one.
        p.loop.submit(kaio::after(20ms), [&](kaio::io_result) { p.happened("20 ms later"); });
        --p.left;
    });
    p.notifier.update(); // the write was not submitted by a handler, so the kernel does not have it yet

    std::thread other([&] { p.loop.post([&] { p.happened("posted by another thread"); }); });
    ::uv_run(p.uv, UV_RUN_DEFAULT);
    other.join();
    ::uv_loop_close(p.uv);
    file.close();
}
