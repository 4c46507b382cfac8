// The same as write.cpp with the raw layer: the kernel's own interface, made safe.
#include <algorithm>
#include <array>
#include <cstdio>
#include <span>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    std::size_t const size = std::max(1024u, file.alignment().offset); // direct I/O writes whole units
    if (size > 1024) std::printf("this file system writes %zu bytes at a time\n", size);

    kaio::aligned_buffer buffer(size, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});
    kaio::context context(32);

    kaio::iocb block = kaio::write(file, buffer, 0);
    kaio::iocb* batch[] = {&block};
    if (kaio::submission const answer = context.submit(batch); !answer) {
        std::printf("request %u was refused: %s\n", answer.failed(), answer.error().message().c_str());
        return 1;
    }

    std::array<kaio::io_event, 32> events;
    unsigned const count = context.wait(events).value("waiting");
    for (kaio::io_event const& event : std::span(events).first(count)) {
        std::size_t const written = event.result().value("write aio.txt"); // throws if it failed
        std::printf("%zu bytes written\n", written);
        if (written != size) return 1; // a short write is a success: the disk may be full
    }
    file.close();
}
