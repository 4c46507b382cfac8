// Writes 1024 bytes of '@' to ./aio.txt past the page cache, and prints what came back.
#include <algorithm>
#include <cstdio>

#include <kaio/kaio.hpp>

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    std::size_t const unit = file.alignment().offset; // what direct I/O on this file system needs
    std::size_t const size = std::max<std::size_t>(1024, unit);
    if (size != 1024) std::printf("this file system writes %zu bytes at a time\n", unit);

    kaio::aligned_buffer buffer(size, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});
    kaio::loop loop(128); // room for 128 requests in flight

    loop.submit(kaio::write(file, buffer, 0), [](kaio::io_result r) {
        if (r)
            std::printf("wrote %zu bytes\n", r.bytes());
        else
            std::printf("failed: %s\n", r.error().message().c_str());
    });
    loop.run(); // returns when nothing is in flight
}
