#include "support/catch.hpp"

#include <cstdint>
#include <list>
#include <vector>

#include <kaio/io/aligned_allocator.hpp>

namespace {
bool aligned(const void* memory, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
}
} // namespace

TEST_CASE("containers get aligned memory, also over-aligned and page-aligned") {
    std::vector<char, kaio::aligned_allocator<char>> page(1);
    std::vector<int, kaio::aligned_allocator<int, 512>> sector;
    std::vector<double, kaio::aligned_allocator<double, 65536>> large(3, 1.5);
    for (int i = 0; i < 10'000; ++i) {
        sector.push_back(i);
        REQUIRE(aligned(sector.data(), 512));
    }
    CHECK(aligned(page.data(), 4096));
    CHECK(aligned(large.data(), 65536));
    CHECK(sector[9'999] == 9'999);
    CHECK(page[0] == 0); // as documented, a vector fills its elements
}

TEST_CASE("other containers rebind the allocator, and a type keeps its own alignment") {
    std::list<int, kaio::aligned_allocator<int, 256>> list{1, 2, 3};
    CHECK(list.back() == 3);
    struct alignas(128) wide {
        int value;
    };
    std::vector<wide, kaio::aligned_allocator<wide, 16>> wides(3);
    CHECK(aligned(wides.data(), 128));
    kaio::aligned_allocator<int, 64> a;
    kaio::aligned_allocator<long, 64> b(a);
    CHECK(a == b);
}

TEST_CASE("a size that does not fit into size_t is refused") {
    kaio::aligned_allocator<std::uint64_t> allocator;
    std::size_t volatile const count = static_cast<std::size_t>(-1) / 4;
    CHECK_THROWS_AS((void)allocator.allocate(count), std::bad_array_new_length);
}
