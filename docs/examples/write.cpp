#include <algorithm>
#include <cstdio>

#include <kaio/kaio.hpp>

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    std::size_t const size = std::max(1024u, file.alignment().offset); // direct I/O writes whole units
    if (size > 1024) std::printf("this file system writes %zu bytes at a time\n", size);

    kaio::aligned_buffer buffer(size, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});

    kaio::loop loop(128); // room for 128 requests in flight
    loop.submit(kaio::fully(kaio::write(file, buffer, 0)), [](kaio::transfer_result r) {
        std::printf("%zu bytes written\n", r.value("write aio.txt")); // throws if it failed
    });
    loop.run();   // returns when nothing is in flight
    file.close(); // throws too: some file systems report errors only here
}
