#include "support/catch.hpp"

#include <cerrno>
#include <memory>
#include <string>

#include <kaio/io/result.hpp>

TEST_CASE("io_result tells bytes from errors") {
    kaio::io_result const read(4096), nothing(0), failed(-EIO), refused(-EAGAIN);
    CHECK(read);
    CHECK(read.bytes() == 4096);
    CHECK(!read.error());
    CHECK(nothing);
    CHECK(nothing.bytes() == 0);
    CHECK(!failed);
    CHECK(failed.bytes() == 0);
    CHECK(failed.poll_events() == 0);
    CHECK(failed.error() == std::error_code(EIO, std::system_category()));
    CHECK(failed.error() == std::errc::io_error);
    CHECK(failed.res() == -EIO);
    CHECK(refused.would_block());
    CHECK(!failed.would_block());
    CHECK(failed == kaio::io_result(-EIO));
}

TEST_CASE("a result holds a value or an error, and moves what can only be moved") {
    kaio::result<std::unique_ptr<int>> good(std::make_unique<int>(7));
    REQUIRE(good);
    CHECK(**good == 7);
    CHECK(!good.error());
    kaio::result<std::unique_ptr<int>> moved(std::move(good));
    CHECK(*std::move(moved).value() == 7);

    auto bad = kaio::result<std::unique_ptr<int>>::failure(ENOMEM);
    CHECK(!bad);
    CHECK(bad.error() == std::errc::not_enough_memory);
    CHECK_THROWS_WITH(std::move(bad).value("asking"), test::StartsWith("asking: "));

    CHECK(kaio::result<void>());
    auto const nothing = kaio::result<void>::failure(EPERM);
    CHECK(!nothing);
    CHECK_THROWS_AS(nothing.value(), std::system_error);
    CHECK_NOTHROW(kaio::result<void>().value());
}

TEST_CASE("a result destroys its value once") {
    auto const counted = std::make_shared<int>(0);
    {
        kaio::result<std::shared_ptr<int>> first(counted);
        kaio::result<std::shared_ptr<int>> second(std::move(first));
        CHECK(counted.use_count() == 2);
    }
    CHECK(counted.use_count() == 1);
}
