#include "support/catch.hpp"

#include <cstdint>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

// A file of a program's own.
struct segment {
    int number;
    bool by_direct_io;
    bool ignored;

    int fd() const noexcept { return number; }
    bool direct() const noexcept { return by_direct_io; }
    bool direct_ignored() const noexcept { return ignored; }
    kaio::file_alignment alignment() const noexcept { return {8, 512}; }
};

struct only_a_number {
    int fd() const noexcept { return 3; }
};
struct may_throw {
    int fd() const { return 3; }
};

static_assert(kaio::open_file<kaio::file> && kaio::open_file<kaio::sim::file> && kaio::open_file<segment>);
static_assert(kaio::truncatable_file<kaio::file> && kaio::truncatable_file<kaio::sim::file>);
static_assert(!kaio::truncatable_file<segment> && !kaio::open_file<only_a_number> && !kaio::open_file<int>);
static_assert(std::is_convertible_v<only_a_number, kaio::descriptor>);
static_assert(!std::is_convertible_v<may_throw, kaio::descriptor>); // making a request never fails

} // namespace

TEST_CASE("a file of a program's own goes into requests, and says what direct I/O wants") {
    kaio::aligned_buffer buffer(512);
    kaio::request const r = kaio::read(segment{5, true, false}, buffer, 512);
    CHECK(r.block().aio_fildes == 5);
    CHECK(r.direct_unit() == 512);
    CHECK(kaio::read(segment{5, false, false}, buffer, 1).direct_unit() == 0);
    CHECK(kaio::read(segment{5, false, true}, buffer, 0).direct_unit() == 512); // it may heed O_DIRECT later
    CHECK(kaio::read(only_a_number{}, buffer, 1).block().aio_fildes == 3);
}
