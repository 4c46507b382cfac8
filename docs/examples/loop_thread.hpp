// loop_thread: a loop with a thread of its own, which runs it until this is destroyed.
//     loop_thread disk;
//     auto const result = co_await disk.loop().post(kaio::write(file, std::move(buffer), 0), home);
// If a call hangs there, io_submit on a file system that is frozen for example, only that thread does.
#pragma once

#include <thread>

#include <kaio/kaio.hpp>

class loop_thread {
public:
    loop_thread() {
        loop_.hold(); // otherwise run() would return, because there is nothing to do yet
        thread_ = std::thread([this] { loop_.run(); });
    }
    loop_thread(const loop_thread&) = delete;
    loop_thread& operator=(const loop_thread&) = delete;
    // Waits for all that it has in flight.
    ~loop_thread() {
        loop_.post([this] { loop_.release(); });
        thread_.join();
    }

    kaio::loop& loop() noexcept { return loop_; } // other threads may only post to it

private:
    kaio::loop loop_{8};
    std::thread thread_{};
};
