#include <kaio/sys/narrow.hpp>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "support/catch.hpp"

using kaio::detail::narrow;
using kaio::detail::pointer_in;

// Constant, and of the type that was asked for.
static_assert(narrow<std::uint32_t>(std::uint64_t{7}) == 7);
static_assert(std::is_same_v<decltype(narrow<std::uint32_t>(7L)), std::uint32_t>);
static_assert(noexcept(narrow<int>(7L)));

TEST_CASE("a value that fits stays, whatever the two types are") {
    CHECK(narrow<long>(7L) == 7);
    CHECK(narrow<std::int64_t>(-7) == -7);
    CHECK(narrow<int>(std::int64_t{-70'000}) == -70'000);
    CHECK(narrow<std::size_t>(std::uint64_t{70'000}) == 70'000);
}

TEST_CASE("of a value that does not fit the low bits stay, as with a static_cast") {
    CHECK(narrow<std::uint32_t>(std::uint64_t{0x1'0000'0007}) == 7);
    CHECK(narrow<std::uint32_t>(-1) == std::numeric_limits<std::uint32_t>::max());
}

TEST_CASE("a pointer comes back out of a field of 64 bits") {
    int value = 7;
    std::uint64_t const field = reinterpret_cast<std::uintptr_t>(&value);
    CHECK(pointer_in<int>(field) == &value);
    CHECK(pointer_in<int>(std::uint64_t{0}) == nullptr);
}
