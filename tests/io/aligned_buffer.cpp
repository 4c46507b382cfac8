#include "support/catch.hpp"

#include <cstdint>
#include <span>
#include <utility>

#include <kaio/io/aligned_buffer.hpp>

TEST_CASE("a buffer has the requested size and alignment, and its storage is rounded up to the alignment") {
    for (std::size_t const alignment : {1u, 2u, 8u, 512u, 4096u, 1u << 20})
        for (std::size_t const size : {1u, 511u, 512u, 513u, 4096u, 100'000u}) {
            kaio::aligned_buffer buffer(size, alignment);
            CAPTURE(size, alignment);
            CHECK(buffer.size() == size);
            CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % alignment == 0);
            CHECK(buffer.capacity() >= size);
            CHECK(buffer.capacity() % alignment == 0);
            CHECK(buffer.capacity() - size < (alignment < sizeof(void*) ? sizeof(void*) : alignment));
            buffer.storage()[0] = buffer.storage()[buffer.capacity() - 1] = std::byte{1}; // all of it can be used
            CHECK(buffer.end() - buffer.begin() == static_cast<std::ptrdiff_t>(size));
        }
}

TEST_CASE("a buffer may have no bytes") {
    kaio::aligned_buffer empty(0), none;
    CHECK(empty.size() == 0);
    CHECK(empty.capacity() == 0);
    CHECK(std::span<std::byte>(empty).empty());
    CHECK(none.data() == nullptr);
}

TEST_CASE("bad arguments are refused with their cause") {
    CHECK(kaio::aligned_buffer::try_make(10, 0).error() == std::errc::invalid_argument);
    CHECK(kaio::aligned_buffer::try_make(10, 3).error() == std::errc::invalid_argument);
    CHECK(kaio::aligned_buffer::try_make(static_cast<std::size_t>(-1)).error() == std::errc::not_enough_memory);
    CHECK_THROWS_WITH(kaio::aligned_buffer(10, 48), test::ContainsSubstring("power of two"));
}

TEST_CASE("moving transfers the bytes, and leaves no bytes behind") {
    kaio::aligned_buffer first(100, 512);
    first.data()[99] = std::byte{7};
    std::byte* const data = first.data();
    kaio::aligned_buffer second(std::move(first));
    CHECK(second.data() == data);
    CHECK(first.data() == nullptr);
    CHECK(first.size() == 0);
    CHECK(first.capacity() == 0);
    kaio::aligned_buffer third(10);
    third = std::move(second);
    CHECK(third.data() == data);
    CHECK(third.data()[99] == std::byte{7});
    CHECK(second.size() == 0);
    auto& same = third;
    third = std::move(same);
    CHECK(third.data() == data);
    CHECK(third.size() == 100);
}

TEST_CASE("a buffer converts to spans of bytes") {
    kaio::aligned_buffer buffer(16);
    std::span<std::byte> const writable = buffer;
    std::span<const std::byte> const readable = std::as_const(buffer);
    CHECK(writable.data() == readable.data());
    CHECK(writable.size() == 16);
}
