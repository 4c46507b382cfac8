// Reads through the ring and through io_getevents, into one buffer and into several, with handlers and in a coroutine,
// and looks at every byte: no tool that watches memory may object. With the argument `valgrind` it leaves out the ring,
// as kaio does by itself there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include <kaio/kaio.hpp>

namespace {

int count_x(const char* bytes, std::size_t size) {
    int count = 0;
    for (std::size_t i = 0; i < size; ++i) count += bytes[i] == 'x';
    return count;
}

kaio::task<int> awaited(kaio::loop& loop, int fd) {
    char bytes[200];
    kaio::io_result const r = co_await loop.submit(kaio::read(fd, bytes, 4000)); // the last 96 bytes of the file
    int count = count_x(bytes, r.bytes());
    co_await loop.sleep_for(kaio::duration::zero());
    kaio::transfer_result const all = co_await loop.submit(kaio::fully(kaio::read(fd, bytes, 0)));
    co_return count + count_x(bytes, all.bytes());
}

} // namespace

int main(int argc, char**) {
    char path[] = "/dev/shm/kaio-tools-XXXXXX";
    int const fd = ::mkstemp(path);
    ::unlink(path);
    char page[4096];
    std::memset(page, 'x', sizeof page);
    if (::pwrite(fd, page, sizeof page, 0) != sizeof page) return 1;

    for (auto const how : {kaio::reaping::automatic, kaio::reaping::ring, kaio::reaping::syscall}) {
        if (argc > 1 && how == kaio::reaping::ring) continue;
        kaio::loop loop(200, {.setup = {.events = how}});
        char* const one = static_cast<char*>(std::malloc(4096));
        char* const two = static_cast<char*>(std::malloc(300));
        iovec const pieces[] = {{two, 100}, {two + 200, 50}};
        int count = 0;
        loop.submit(kaio::read(fd, std::span(one, 4096), 0),
                    [&](kaio::io_result r) { count += count_x(one, r.bytes()); });
        loop.submit(kaio::readv(fd, pieces, 0),
                    [&](kaio::io_result) { count += count_x(two, 100) + count_x(two + 200, 50); });
        count += kaio::sync_wait(loop, awaited(loop, fd));
        loop.run();
        std::free(one);
        std::free(two);
        if (count != 4096 + 150 + 96 + 200) return 2;
    }
}
