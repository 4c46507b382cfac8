#include <kaio/io/view.hpp>

#include <array>
#include <cstddef>
#include <numeric>
#include <span>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

namespace {

int sum(std::span<const int> numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0); }
int sum_of_view(kaio::view<const int> numbers) { return std::accumulate(numbers.begin(), numbers.end(), 0); }

// Like a std::span: the conversion to a fixed length must be explicit.
static_assert(!std::is_convertible_v<kaio::view<int>, std::span<int, 2>>);
static_assert(std::is_constructible_v<std::span<int, 2>, kaio::view<int>>);
static_assert(std::is_convertible_v<std::span<int, 2>, kaio::view<int>>);
static_assert(!std::is_convertible_v<std::span<const int>, kaio::view<int>>);
static_assert(std::is_trivially_copyable_v<kaio::view<int>>);

constexpr std::array<int, 4> powers{1, 2, 4, 8};
static_assert(kaio::view<const int>(powers).subspan(1, 2)[1] == 4);

} // namespace

TEST_CASE("first, last and subspan return a part, like those of std::span") {
    std::vector<int> const numbers{1, 2, 4, 8, 16};
    kaio::view<const int> const all = numbers;
    std::span<const int> const span = numbers;
    for (std::size_t offset = 0; offset <= numbers.size(); ++offset) {
        CHECK(all.first(offset).data() == span.first(offset).data());
        CHECK(all.first(offset).size() == offset);
        CHECK(all.last(offset).data() == span.last(offset).data());
        CHECK(all.last(offset).size() == offset);
        CHECK(all.subspan(offset).data() == span.subspan(offset).data());
        CHECK(all.subspan(offset).size() == span.subspan(offset).size());
        for (std::size_t count = 0; count <= numbers.size() - offset; ++count) {
            CHECK(all.subspan(offset, count).data() == span.data() + offset);
            CHECK(all.subspan(offset, count).size() == count);
        }
    }
    CHECK(all.size_bytes() == span.size_bytes());
    CHECK(kaio::view<int>().first(0).empty());
    CHECK(kaio::view<int>().subspan(0).empty());
}

TEST_CASE("a view and a std::span convert to each other") {
    std::vector<int> const numbers{1, 2, 4};
    CHECK(sum_of_view(std::span(numbers)) == 7);
    CHECK(sum_of_view(std::span(numbers).first<2>()) == 3);
    CHECK(sum(kaio::view<const int>(numbers)) == 7);
    CHECK(sum(kaio::view<const int>(numbers).last(2)) == 6);
    kaio::view<const int> const view = std::span(numbers);
    std::span<const int> const span = view;
    CHECK(span.data() == numbers.data());
    CHECK(span.size() == numbers.size());
}
