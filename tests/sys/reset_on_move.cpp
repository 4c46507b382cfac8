#include <kaio/sys/reset_on_move.hpp>

#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using kaio::detail::owned;
using kaio::detail::reset_on_move;

namespace {

std::vector<int> released;

struct note_release {
    void operator()(int value) const { released.push_back(value); }
};
using owned_number = owned<int, -1, note_release>;

// A class like those in the headers.
struct owner {
    owned_number number{};
    reset_on_move<unsigned> size{};
    reset_on_move<const char*> name{};
};

struct place {
    int* memory = nullptr;
    unsigned index = 0;
    bool operator==(const place&) const = default;
};
struct count_in_memory {
    void operator()(place p) const { p.memory[p.index] += 1; }
};

static_assert(std::is_nothrow_move_constructible_v<owner> && std::is_nothrow_move_assignable_v<owner>);
static_assert(!std::is_copy_constructible_v<owner> && !std::is_copy_assignable_v<owner>);
static_assert(sizeof(reset_on_move<unsigned>) == sizeof(unsigned) && sizeof(owned_number) == sizeof(int));

} // namespace

TEST_CASE("moving a value leaves Empty behind, by construction and by assignment") {
    reset_on_move<int, 7> source = 1;
    reset_on_move<int, 7> target(std::move(source));
    CHECK(target == 1);
    CHECK(source == 7);
    source = 2;
    target = std::move(source);
    CHECK(target == 2);
    CHECK(source == 7);
}

TEST_CASE("a class of such members moves by default, and owns each value once") {
    released.clear();
    {
        owner a{owned_number(1), 10, "a"};
        owner b(std::move(a));
        CHECK(b.number.get() == 1);
        CHECK(b.size == 10u);
        CHECK(!a.number);
        CHECK(a.size == 0u);
        CHECK(a.name.get() == nullptr);
        a = owner{owned_number(2), 20, "b"};
        CHECK(released.empty());
        b = std::move(a);
        CHECK(released == std::vector{1});
        CHECK(b.number.get() == 2);
        CHECK(!a.number);
    }
    CHECK(released == std::vector{1, 2});
}

TEST_CASE("moving an object to itself leaves it as it is") {
    released.clear();
    {
        owner a{owned_number(1), 10, "a"};
        owner& same = a;
        a = std::move(same);
        CHECK(a.number.get() == 1);
        CHECK(a.size == 10u);
    }
    CHECK(released == std::vector{1});
}

TEST_CASE("release() passes the value to the caller, and Empty is never released") {
    released.clear();
    {
        owned_number none, one(1);
        CHECK(!none);
        CHECK(one.release() == 1);
        CHECK(!one);
        one.reset(3);
        one.reset();
        CHECK(released == std::vector{3});
    }
    CHECK(released == std::vector{3});
}

TEST_CASE("an owned value may have several fields") {
    int memory[2] = {};
    {
        owned<place, place{}, count_in_memory> a(place{memory, 1});
        owned<place, place{}, count_in_memory> b(std::move(a));
        CHECK(b.get().index == 1);
    }
    CHECK(memory[0] == 0);
    CHECK(memory[1] == 1);
}
