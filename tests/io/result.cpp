#include "support/catch.hpp"

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include <kaio/io/result.hpp>

TEST_CASE("io_result distinguishes bytes from errors") {
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

TEST_CASE("value() returns the bytes, or throws the error with a text that names the call") {
    CHECK(kaio::io_result(4096).value("read aio.txt") == 4096);
    CHECK(kaio::io_result(0).value() == 0);
    CHECK_THROWS_WITH(kaio::io_result(-EIO).value("read aio.txt"), test::StartsWith("read aio.txt: "));
    try {
        (void)kaio::io_result(-EIO).value();
        FAIL("it did not throw");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::error_code(EIO, std::system_category()));
    }
}

TEST_CASE("an event has its request and the request's result") {
    kaio::iocb block{};
    kaio::io_event const good{7, reinterpret_cast<std::uintptr_t>(&block), 512, 0}, bad{0, 0, -EIO, 0};
    CHECK(good.request() == &block);
    CHECK(good.result() == kaio::io_result(512));
    CHECK(bad.request() == nullptr);
    CHECK(bad.result().error() == std::errc::io_error);
}

TEST_CASE("a result holds a value or an error, and the value may be move-only") {
    kaio::result<std::unique_ptr<int>> good(std::make_unique<int>(7));
    REQUIRE(good);
    CHECK(good.has_value());
    CHECK(**good == 7);
    CHECK(*good.value() == 7);
    CHECK(!good.error());
    CHECK(good.error_number() == 0);
    kaio::result<std::unique_ptr<int>> moved(std::move(good));
    CHECK(*std::move(moved).value() == 7);

    kaio::result<std::unique_ptr<int>> bad = kaio::failure(ENOMEM);
    CHECK(!bad);
    CHECK(!bad.has_value());
    CHECK(bad.error() == std::errc::not_enough_memory);
    CHECK(bad.error_number() == ENOMEM);
    CHECK_THROWS_WITH(bad.value("asking"), test::StartsWith("asking: "));
    CHECK_THROWS_WITH(std::as_const(bad).value("asking"), test::StartsWith("asking: "));
    CHECK_THROWS_WITH(std::move(bad).value("asking"), test::StartsWith("asking: "));

    CHECK(kaio::result<void>());
    CHECK(kaio::result<void>().has_value());
    kaio::result<void> const nothing = kaio::failure(EPERM);
    CHECK(!nothing);
    CHECK_THROWS_AS(nothing.value(), std::system_error);
    CHECK_NOTHROW(kaio::result<void>().value());
}

TEST_CASE("a failure passes the error of one result to another") {
    auto const inner = []() -> kaio::result<int> { return kaio::failure(ENOSPC); };
    auto const outer = [&]() -> kaio::result<std::string> {
        auto const number = inner();
        if (!number) return kaio::failure(number.error());
        return std::to_string(*number);
    };
    CHECK(outer().error() == std::errc::no_space_on_device);
    CHECK(outer().error_number() == ENOSPC);
    CHECK(kaio::result<void>().error_number() == 0);
    CHECK(kaio::failure(EIO).error_number() == EIO);
}

TEST_CASE("a result is assigned and copied like its value, whatever it held before") {
    auto const counted = std::make_shared<int>(7);
    using shared = kaio::result<std::shared_ptr<int>>;
    {
        shared const good(counted), bad = kaio::failure(EIO);
        for (bool const from_good : {true, false})
            for (bool const to_good : {true, false}) {
                shared copied = to_good ? good : bad, moved = to_good ? good : bad;
                copied = from_good ? good : bad;
                moved = shared(from_good ? good : bad);
                CHECK(copied.has_value() == from_good);
                CHECK(moved.has_value() == from_good);
                CHECK(copied.error() == (from_good ? good : bad).error());
                CHECK(moved.error() == (from_good ? good : bad).error());
                if (from_good) CHECK(*copied == counted);
                if (from_good) CHECK(*moved == counted);
                CHECK(counted.use_count() == (from_good ? 4 : 2));
            }
        shared self(counted);
        shared& same = self;
        self = same;
        CHECK(*self == counted);
    }
    CHECK(counted.use_count() == 1);

    kaio::result<std::unique_ptr<int>> only_moved = kaio::failure(EIO);
    only_moved = std::make_unique<int>(8);
    CHECK(**only_moved == 8);
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
