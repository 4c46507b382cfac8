#include "support/catch.hpp"
#include "support/child.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <type_traits>

#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

enum plain { four = 4 };
enum class scoped { four = 4 };
template <class From> constexpr bool makes_offset = std::is_nothrow_convertible_v<From, kaio::file_offset>;

// Every integer, and what becomes one by itself.
static_assert(makes_offset<int> && makes_offset<unsigned char> && makes_offset<std::int64_t> &&
              makes_offset<std::uint64_t> && makes_offset<std::size_t> && makes_offset<off_t>);
static_assert(makes_offset<plain> && makes_offset<const std::atomic<std::int64_t>&>);
// A number with a point, a truth value or a pointer was meant as something else.
static_assert(!makes_offset<double> && !makes_offset<float> && !makes_offset<bool> && !makes_offset<const char*> &&
              !makes_offset<std::nullptr_t> && !makes_offset<scoped>);
// It goes where the integer went, in one register.
static_assert(sizeof(kaio::file_offset) == sizeof(std::int64_t));
static_assert(std::is_trivially_copyable_v<kaio::file_offset>);
static_assert(kaio::file_offset(7u).value() == 7 && kaio::file_offset(-1).value() == -1);

std::int64_t asked(const kaio::request& r) { return r.block().aio_offset; }

} // namespace

TEST_CASE("an offset is an integer of any type") {
    char buffer[16];
    std::atomic<std::int64_t> next{1 << 20};
    CHECK(asked(kaio::read(0, buffer, 0)) == 0);
    CHECK(asked(kaio::read(0, buffer, sizeof buffer)) == 16);
    CHECK(asked(kaio::write(0, buffer, std::uint64_t{1} << 40)) == std::int64_t{1} << 40);
    CHECK(asked(kaio::write(0, buffer, INT64_MAX)) == INT64_MAX);
    CHECK(asked(kaio::read(0, buffer, next)) == 1 << 20);
    CHECK(asked(kaio::read(0, buffer, four)) == 4);
    CHECK(asked(kaio::readv(0, {}, 5u)) == 5);
    CHECK(asked(kaio::writev(0, {}, std::int8_t{6})) == 6);
}

TEST_CASE("a negative offset is refused by the kernel, with EINVAL") {
    kaio::file const null = kaio::file::open("/dev/zero", O_RDWR);
    kaio::loop loop(2);
    char buffer[16];
    std::int64_t result = 0;
    loop.submit(kaio::read(null, buffer, -1), [&](kaio::io_result r) { result = r.res(); });
    loop.run();
    CHECK(result == -EINVAL);
}

#ifndef NDEBUG
TEST_CASE("a difference of sizes that went below 0 stops a debug build") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              std::uint64_t const size = 512;
              return static_cast<int>(kaio::file_offset(size - 1024).value() & 1);
          }) == 1000 + SIGABRT);
}
#endif
