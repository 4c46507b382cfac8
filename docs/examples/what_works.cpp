// Which interfaces for asynchronous disk I/O does this system allow? It asks each, and says what the answer was.
//     g++ -std=c++20 docs/examples/what_works.cpp -o what_works && ./what_works
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

void say(const char* call, long answer) {
    std::printf("%-15s %s\n", call, answer >= 0 ? "works" : std::strerror(errno));
}

} // namespace

int main() {
    aio_context_t context = 0;
    say("io_setup", syscall(SYS_io_setup, 1, &context));
    if (context != 0) {
        io_event event;
        struct {
            std::int64_t seconds, nanoseconds;
        } now{};
#if defined(SYS_io_getevents)
        say("io_getevents", syscall(SYS_io_getevents, context, 0, 1, &event, &now));
#endif
#if defined(SYS_io_pgetevents)
        say("io_pgetevents", syscall(SYS_io_pgetevents, context, 0, 1, &event, &now, nullptr));
#endif
        auto const* const ring = reinterpret_cast<const std::uint32_t*>(context);
        std::printf("%-15s %s\n", "the ring", ring[4] == 0xa10a10a1 ? "can be read" : "is not there: use io_getevents");
        syscall(SYS_io_destroy, context);
    }

    char parameters[120] = {}; // a struct io_uring_params
    long const ring = syscall(SYS_io_uring_setup, 1, parameters);
    say("io_uring_setup", ring);
    if (ring >= 0) close(static_cast<int>(ring));
}
