// The same as write.cpp with a coroutine, which also reads the file back.
#include <algorithm>
#include <cstdio>

#include <kaio/kaio.hpp>

kaio::task<bool> write_and_compare(kaio::loop& loop, const kaio::file& file, const kaio::aligned_buffer& data) {
    kaio::transfer_result const written = co_await loop.submit(kaio::fully(kaio::write(file, data, 0)));
    std::printf("%zu bytes written\n", written.value("write aio.txt")); // throws if it failed

    kaio::aligned_buffer copy(data.size(), file.alignment().memory);
    kaio::transfer_result const read = co_await loop.submit(kaio::fully(kaio::read(file, copy, 0)));
    co_return read.value("read aio.txt") == data.size() && std::ranges::equal(copy, data);
}

int main() {
    kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
    std::size_t const size = std::max(1024u, file.alignment().offset); // direct I/O writes whole units
    if (size > 1024) std::printf("this file system writes %zu bytes at a time\n", size);

    kaio::aligned_buffer buffer(size, file.alignment().memory);
    std::ranges::fill(buffer, std::byte{'@'});

    kaio::loop loop(128);
    bool const same = kaio::sync_wait(loop, write_and_compare(loop, file, buffer));
    file.close();
    return same ? 0 : 1;
}
