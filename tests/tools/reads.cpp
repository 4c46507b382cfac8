// Reads through the ring and through io_getevents, into one buffer and into several, and looks at every byte: no tool
// that watches memory may object. With the argument `valgrind` it leaves out the ring, as kaio does by itself there.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include <kaio/kaio.hpp>

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
        loop.submit(kaio::read(fd, std::span(one, 4096), 0), [&](kaio::io_result r) {
            for (std::size_t i = 0; i < r.bytes(); ++i) count += one[i] == 'x';
        });
        loop.submit(kaio::readv(fd, pieces, 0), [&](kaio::io_result) {
            for (int i = 0; i < 100; ++i) count += two[i] == 'x';
            for (int i = 200; i < 250; ++i) count += two[i] == 'x';
        });
        loop.run();
        std::free(one);
        std::free(two);
        if (count != 4096 + 150) return 2;
    }
}
