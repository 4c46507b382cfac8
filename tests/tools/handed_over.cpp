// One thread submits, another takes the events, reads the buffers and frees them: what the first did before submission
// must be visible to the second after completion, and no tool may object. Through the ring and by io_getevents; with
// the argument `valgrind` it leaves out the ring, as kaio does by itself there.
#include <cstdlib>
#include <cstring>
#include <thread>

#include <kaio/io/context.hpp>
#include <kaio/io/request.hpp>

namespace {

struct job {
    kaio::iocb block;
    unsigned number; // written before submission, read after completion
    char bytes[64];
};

int run(kaio::reaping how, int fd) {
    constexpr unsigned count = 2000;
    kaio::context context(8, {.events = how});
    std::thread submitter([&] {
        for (unsigned i = 0; i < count; ++i) {
            auto* const fresh = static_cast<job*>(std::malloc(sizeof(job)));
            fresh->number = i;
            fresh->block = i % 2 == 0 ? kaio::read(fd, fresh->bytes, 0) : kaio::write(fd, fresh->bytes, 4096);
            if (i % 2 != 0) std::memset(fresh->bytes, 'y', sizeof fresh->bytes);
            fresh->block.aio_data = reinterpret_cast<std::uintptr_t>(fresh);
            kaio::iocb* batch[] = {&fresh->block};
            while (!context.submit(batch)) std::this_thread::yield(); // the ring is full
        }
    });
    unsigned got = 0, right = 0;
    while (got < count) {
        kaio::io_event events[8];
        unsigned const more = context.reap(events);
        if (more == 0) std::this_thread::yield();
        for (unsigned i = 0; i < more; ++i, ++got) {
            auto* const done = reinterpret_cast<job*>(events[i].data);
            bool good = events[i].res == 64 && done->number == got;
            for (char const c : done->bytes) good &= c == (done->number % 2 == 0 ? 'x' : 'y');
            right += good;
            std::free(done);
        }
    }
    submitter.join();
    return right == count ? 0 : 1;
}

} // namespace

int main(int argc, char**) {
    char path[] = "/dev/shm/kaio-tools-XXXXXX";
    int const fd = ::mkstemp(path);
    ::unlink(path);
    char page[4096];
    std::memset(page, 'x', sizeof page);
    if (::pwrite(fd, page, sizeof page, 0) != sizeof page) return 1;
    if (argc == 1 && run(kaio::reaping::ring, fd) != 0) return 2;
    return run(kaio::reaping::syscall, fd);
}
