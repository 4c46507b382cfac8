#include "support/catch.hpp"

#include "asio/asio.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/asio/stream_file.hpp>

#define CASE(text) TEST_CASE(WITH_ASIO text, "[stream_file]")

using kaio::stream_file;
using test::has_content;
using test::into;
using test::outcome;
using test::temporary_file;

CASE("each transfer of a stream begins where the last one ended") {
    asio::io_context context;
    temporary_file const place(100);
    stream_file file(context, place.path(), stream_file::read_write);
    std::vector<unsigned char> bytes(30);
    std::optional<outcome> first, second, end, written;
    error_code error;

    CHECK(file.read_some(asio::buffer(bytes)) == 30);
    CHECK(has_content(bytes, 0));
    file.async_read_some(asio::buffer(bytes), into(first));
    context.run();
    CHECK((first && !first->error && first->bytes == 30));
    CHECK(has_content(bytes, 30));
    asio::async_read(file, asio::buffer(bytes), into(second));
    context.restart();
    context.run();
    CHECK((second && !second->error && second->bytes == 30));
    CHECK(has_content(bytes, 60));

    CHECK(file.read_some(asio::buffer(bytes), error) == 10);
    CHECK_FALSE(error);
    CHECK(file.read_some(asio::buffer(bytes), error) == 0);
    CHECK(error == asio::error::eof);
    CHECK_THROWS_AS(file.read_some(asio::buffer(bytes)), system_error);
    file.async_read_some(asio::buffer(bytes), into(end));
    context.restart();
    context.run();
    CHECK((end && end->error == asio::error::eof));

    CHECK(file.write_some(asio::buffer("ab", 2)) == 2);
    file.async_write_some(asio::buffer("cd", 2), into(written));
    context.restart();
    context.run();
    CHECK((written && written->bytes == 2));
    CHECK(file.seek(100, stream_file::seek_set) == 100);
    std::string text(4, ' ');
    CHECK(asio::read(file, asio::buffer(text)) == 4);
    CHECK(text == "abcd");
}

CASE("seek moves the position from the beginning, the position or the end") {
    asio::io_context context;
    temporary_file const place(100);
    stream_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(1);
    error_code error;
    CHECK(file.seek(40, stream_file::seek_set) == 40);
    CHECK(file.read_some(asio::buffer(bytes)) == 1);
    CHECK(has_content(bytes, 40));
    CHECK(file.seek(-1, stream_file::seek_cur) == 40);
    CHECK(file.seek(-10, stream_file::seek_end) == 90);
    CHECK(file.read_some(asio::buffer(bytes)) == 1);
    CHECK(has_content(bytes, 90));
    CHECK(file.seek(-200, stream_file::seek_cur, error) == 0);
    CHECK(error.value() == EINVAL);
    CHECK(file.seek(0, stream_file::seek_cur) == 91); // it has not moved
    file.close();
    CHECK(file.seek(0, stream_file::seek_set, error) == 0);
    CHECK(error == asio::error::bad_descriptor);
    CHECK(file.read_some(asio::buffer(bytes), error) == 0);
    CHECK(error == asio::error::bad_descriptor);
}

CASE("a stream takes over a descriptor's position and gives it back") {
    asio::io_context context;
    temporary_file const place(100);
    REQUIRE(::lseek(place.fd(), 20, SEEK_SET) == 20);
    stream_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(5);
    CHECK(file.read_some(asio::buffer(bytes)) == 5);
    CHECK(has_content(bytes, 20));
    stream_file moved(std::move(file)); // with its position
    CHECK(moved.read_some(asio::buffer(bytes)) == 5);
    CHECK(has_content(bytes, 25));
    int const fd = moved.release();
    CHECK(::lseek(fd, 0, SEEK_CUR) == 30);
    ::close(fd);
}

CASE("a stream that appends writes at the end, and is there afterwards") {
    asio::io_context context;
    temporary_file const place(10);
    stream_file file(context, place.path(), stream_file::read_write | stream_file::append);
    std::optional<outcome> written;
    std::vector<unsigned char> bytes(3);
    CHECK(file.read_some(asio::buffer(bytes)) == 3);
    file.async_write_some(asio::buffer("ab", 2), into(written));
    context.run();
    CHECK((written && written->bytes == 2));
    CHECK(file.size() == 12);
    CHECK(file.seek(0, stream_file::seek_cur) == 12);
    CHECK(file.write_some(asio::buffer("cd", 2)) == 2);
    error_code error;
    CHECK(file.read_some(asio::buffer(bytes), error) == 0);
    CHECK(error == asio::error::eof);
    CHECK(file.seek(-4, stream_file::seek_end) == 10);
    std::string text(4, ' ');
    CHECK(asio::read(file, asio::buffer(text)) == 4);
    CHECK(text == "abcd");
}

CASE("a coroutine copies one stream to another") {
    asio::io_context context;
    temporary_file const place(100'000);
    temporary_file const copy;
    auto const copies = [&]() -> asio::awaitable<void> {
        stream_file from(context, place.path(), stream_file::read_only);
        stream_file to(context, copy.path(), stream_file::write_only);
        std::vector<unsigned char> bytes(7777);
        for (bool more = true; more;) {
            error_code error;
            auto const count =
                co_await asio::async_read(from, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
            more = !error;
            CHECK((more || error == asio::error::eof));
            co_await asio::async_write(to, asio::buffer(bytes, count), asio::use_awaitable);
        }
    };
    asio::co_spawn(context, copies, asio::detached);
    context.run();
    std::vector<unsigned char> bytes(100'001);
    CHECK(::pread(copy.fd(), bytes.data(), bytes.size(), 0) == 100'000);
    bytes.resize(100'000);
    CHECK(has_content(bytes, 0));
}
