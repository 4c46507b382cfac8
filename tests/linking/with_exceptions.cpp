// A program with exceptions. One of its parts is built without them.
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>

#include <kaio/kaio.hpp>

int without_exceptions();

namespace {
kaio::task<int> fails(kaio::loop& loop) {
    co_await loop.sleep_for(kaio::duration::zero());
    throw std::runtime_error("the task's own");
}
} // namespace

#ifdef SHARED
kaio::task<int> shared_task(kaio::loop& loop);
#endif

int main() {
    std::printf("the part without: %d\n", without_exceptions());
    try {
        (void)kaio::file::open("/no/such/file", O_RDONLY);
    } catch (const std::system_error& error) {
        std::printf("caught: %s\n", error.what());
    }
    kaio::loop loop(4);
#ifdef SHARED
    std::printf("%d\n", kaio::sync_wait(loop, shared_task(loop)));
#endif
    try {
        std::printf("returned %d\n", kaio::sync_wait(loop, fails(loop)));
    } catch (const std::runtime_error& error) {
        std::printf("caught: %s\n", error.what());
    }
}
