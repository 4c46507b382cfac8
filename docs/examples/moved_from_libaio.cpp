// A program for libaio, of which one line became two: these.
#include <kaio/compat/libaio.hpp>
using namespace kaio::libaio;

#include <cstdio>
#include <cstring>

#include <fcntl.h>

int failed(const char* call, int result) {
    std::fprintf(stderr, "%s: %s\n", call, std::strerror(-result));
    return 1;
}

int main() {
    int const fd = open("aio.txt", O_RDWR | O_CREAT, 0644);
    if (fd < 0) return failed("aio.txt", -errno);
    io_context_t context = nullptr;
    if (int const error = io_setup(8, &context); error < 0) return failed("io_setup", error);

    char hello[] = "hello, world\n";
    iocb block;
    io_prep_pwrite(&block, fd, hello, std::strlen(hello), 0);
    iocb* batch[] = {&block};
    if (int const taken = io_submit(context, 1, batch); taken != 1) return failed("io_submit", taken);

    io_event event;
    int const count = io_getevents(context, 1, 1, &event, nullptr); // no system call if the event is there
    io_destroy(context);
    if (count != 1) return failed("io_getevents", count);
    if (event.res != std::strlen(hello)) return failed("write", static_cast<int>(event.res));
    std::printf("%lu bytes written\n", event.res);
}
