// A shared object that gets a loop which another shared object made. It submits to the loop, runs it and posts to it.
#include <condition_variable>
#include <mutex>

#include <fcntl.h>

#include <kaio/kaio.hpp>

// Returns the number of bytes that were read, or a negative errno.
extern "C" [[gnu::visibility("default")]] int plugin_read(kaio::loop* loop) {
    auto file = kaio::file::try_open("/dev/zero", O_RDONLY);
    if (!file) return -file.error().value();
    char buffer[512];
    std::int64_t res = -1;
    if (auto const done = loop->try_submit(kaio::read(*file, buffer, 0), [&](kaio::io_result r) { res = r.res(); });
        !done)
        return -done.error().value();
    if (auto const done = loop->try_run(); !done) return -done.error().value();
    return static_cast<int>(res);
}

// Posts `count` times. Returns when the loop's thread has called every post.
extern "C" [[gnu::visibility("default")]] void plugin_post(kaio::loop* loop, int count) {
    std::mutex mutex;
    std::condition_variable changed;
    for (int i = 0; i < count; ++i) {
        bool called = false;
        loop->post([&] {
            std::lock_guard const lock(mutex);
            called = true;
            changed.notify_one();
        });
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return called; });
    }
}
