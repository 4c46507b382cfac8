#include "support/catch.hpp"

#include <array>
#include <span>
#include <string>
#include <vector>

#include <poll.h>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/buffer_pool.hpp>
#include <kaio/io/request.hpp>

namespace {
std::uint64_t at(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory); }

void check(const kaio::iocb& block, kaio::opcode op, unsigned fd, std::uint64_t buf, std::uint64_t count,
           std::int64_t offset) {
    CHECK(block.aio_lio_opcode == static_cast<std::uint16_t>(op));
    CHECK(block.aio_fildes == fd);
    CHECK(block.aio_buf == buf);
    CHECK(block.aio_nbytes == count);
    CHECK(block.aio_offset == offset);
    CHECK(block.aio_data == 0);
    CHECK(block.aio_key == 0);
    CHECK(block.aio_rw_flags == 0);
    CHECK(block.aio_reqprio == 0);
    CHECK(block.aio_reserved2 == 0);
    CHECK(block.aio_flags == 0);
    CHECK(block.aio_resfd == 0);
}
} // namespace

TEST_CASE("each factory fills in its fields of the kernel's iocb, and no others") {
    std::array<std::byte, 100> buffer{};
    std::array<iovec, 3> vector{};
    std::int64_t const far = std::int64_t{1} << 40;
    check(kaio::read(5, buffer, far), kaio::opcode::pread, 5, at(&buffer), 100, far);
    check(kaio::write(6, buffer, 1), kaio::opcode::pwrite, 6, at(&buffer), 100, 1);
    check(kaio::readv(7, vector, 2), kaio::opcode::preadv, 7, at(&vector), 3, 2);
    check(kaio::writev(8, vector, 3), kaio::opcode::pwritev, 8, at(&vector), 3, 3);
    check(kaio::fsync(9), kaio::opcode::fsync, 9, 0, 0, 0);
    check(kaio::fdatasync(10), kaio::opcode::fdsync, 10, 0, 0, 0);
    check(kaio::poll(11, POLLIN | POLLOUT), kaio::opcode::poll, 11, POLLIN | POLLOUT, 0, 0);
}

TEST_CASE("modifiers return a changed copy") {
    char buffer[16];
    kaio::request const plain = kaio::write(1, buffer, 0);
    kaio::iocb const changed = plain.flags(kaio::rw_flags::dsync | kaio::rw_flags::nowait)
                                   .priority(kaio::priority_class::best_effort, 3)
                                   .notify(42);
    CHECK(changed.aio_rw_flags == 10);
    CHECK(changed.aio_reqprio == ((2 << 13) | 3));
    CHECK(changed.aio_flags == 3);
    CHECK(changed.aio_resfd == 42);
    CHECK(plain.notify(42).priority(kaio::priority_class::idle).block().aio_flags == 3); // in any order
    CHECK(plain.priority(kaio::priority_class::none).block().aio_reqprio == 0);
    CHECK(plain.priority(kaio::priority_class::best_effort, 8).block().aio_reqprio == (2 << 13 | 7)); // not 0
    check(plain, kaio::opcode::pwrite, 1, at(buffer), 16, 0);
}

TEST_CASE("anything with data and size is a buffer") {
    kaio::aligned_buffer aligned(100);
    std::vector<std::uint32_t> numbers(10);
    const std::string text = "text";
    const std::array<char, 3> three{};
    char array[7];
    kaio::buffer_pool pool(1, 64);
    kaio::pooled_buffer const pooled = pool.acquire();
    auto const names = [](const kaio::request& r, const void* data, std::size_t size) {
        CHECK(r.block().aio_buf == at(data));
        CHECK(r.block().aio_nbytes == size);
    };
    names(kaio::read(0, aligned, 0), aligned.data(), 100);
    names(kaio::read(0, numbers, 0), numbers.data(), 40);
    names(kaio::write(0, text, 0), text.data(), 4);
    names(kaio::write(0, three, 0), three.data(), 3);
    names(kaio::read(0, array, 0), array, 7);
    names(kaio::read(0, pooled, 0), pooled.data(), 64);
    names(kaio::read(0, std::span(numbers).subspan(2, 3), 0), numbers.data() + 2, 12);
    names(kaio::write(0, std::span<const char>(), 0), nullptr, 0);
}
