#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

template <class Buffer> using of_read = decltype(kaio::read(0, std::declval<Buffer>(), 0));
template <class Buffer> using of_write = decltype(kaio::write(0, std::declval<Buffer>(), 0));
template <class Buffer> using owner = kaio::owning<kaio::request, Buffer>;

static_assert(std::is_same_v<of_read<std::vector<char>&>, kaio::request>);
static_assert(std::is_same_v<of_read<std::span<char>>, kaio::request>);
static_assert(std::is_same_v<of_read<kaio::view<char>>, kaio::request>);
static_assert(std::is_same_v<of_write<std::string_view>, kaio::request>);
static_assert(std::is_same_v<of_write<const char (&)[4]>, kaio::request>);
static_assert(std::is_same_v<of_read<std::vector<char>>, owner<std::vector<char>>>);
static_assert(std::is_same_v<of_read<kaio::aligned_buffer>, owner<kaio::aligned_buffer>>);
static_assert(std::is_same_v<of_read<kaio::pooled_buffer>, owner<kaio::pooled_buffer>>);
static_assert(std::is_same_v<of_write<std::string>, owner<std::string>>);

// A buffer type of a user's own: all that it needs is data(), size() and a move. It counts the moves.
struct own_buffer {
    std::unique_ptr<char[]> bytes = std::make_unique<char[]>(64);
    int moves = 0;

    own_buffer() = default;
    own_buffer(own_buffer&& other) noexcept : bytes(std::move(other.bytes)), moves(other.moves + 1) {}
    char* data() const { return bytes.get(); }
    std::size_t size() const { return bytes ? 64 : 0; }
};

std::string content(std::size_t offset, std::size_t count) {
    std::string bytes(count, '\0');
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(test::temporary_file::content(offset + i));
    return bytes;
}

std::string bytes_of(const test::temporary_file& file, off_t offset, std::size_t count) {
    std::string bytes(count, '\0');
    if (::pread(file.fd(), bytes.data(), count, offset) != static_cast<ssize_t>(count)) return "short";
    return bytes;
}

} // namespace

TEST_CASE("a buffer that is handed over comes back with the result, whatever type it has") {
    test::temporary_file const file(4096);
    kaio::loop loop(4);
    std::vector<std::string> read;
    auto const note = [&](kaio::io_result result, auto buffer) {
        CHECK(result.bytes() == std::size(buffer));
        read.emplace_back(reinterpret_cast<const char*>(std::data(buffer)), std::size(buffer));
    };
    kaio::buffer_pool pool(2, 64);
    std::string long_string(100, 'x');
    loop.submit(kaio::read(file, std::vector<char>(10), 0), note);
    loop.submit(kaio::read(file, std::move(long_string), 1), note);
    loop.submit(kaio::read(file, std::string(5, 'x'), 2), note); // its bytes lie in the string itself
    loop.submit(kaio::read(file, std::array<char, 7>{}, 3), note);
    loop.submit(kaio::read(file, kaio::aligned_buffer(512), 4), note);
    loop.submit(kaio::read(file, pool.acquire(), 5), note);
    loop.submit(kaio::read(file, own_buffer(), 6), note);
    CHECK(pool.available() == 1);
    CHECK(loop.run() == 7);
    CHECK(pool.available() == 2);
    CHECK(read == std::vector<std::string>{content(0, 10), content(1, 100), content(2, 5), content(3, 7),
                                           content(4, 512), content(5, 64), content(6, 64)});
}

TEST_CASE("a temporary is written, and what is written is what it held") {
    test::temporary_file const file(4096);
    kaio::loop loop(2);
    kaio::aligned_buffer buffer(512);
    std::memset(buffer.data(), 'k', buffer.size());
    std::byte* const bytes = buffer.data();
    loop.submit(kaio::write(file, std::move(buffer), 512), [&](kaio::io_result result, kaio::aligned_buffer written) {
        CHECK(result.bytes() == 512);
        CHECK(written.data() == bytes); // the very bytes, not a copy
    });
    loop.submit(kaio::write(file, std::string("hello"), 0),
                [&](kaio::io_result result, std::string) { CHECK(result.bytes() == 5); });
    loop.submit(kaio::write(file, std::vector<char>(3, 'n'), 1024), [&](kaio::io_result result) { // or not take it
        CHECK(result.bytes() == 3);
    });
    CHECK(loop.run() == 3);
    CHECK(bytes_of(file, 0, 5) == "hello");
    CHECK(bytes_of(file, 1024, 3) == "nnn");
    CHECK(bytes_of(file, 512, 512) == std::string(512, 'k'));
}

TEST_CASE("modifiers keep the buffer, and fully transfers all of it") {
    test::temporary_file const file(4096);
    kaio::loop loop(2);
    int called = 0;
    loop.submit(kaio::write(file, std::vector<char>(64, 'd'), 0)
                    .flags(kaio::rw_flags::dsync)
                    .priority(kaio::priority_class::best_effort),
                [&](kaio::io_result result, std::vector<char> buffer) { called += result.bytes() == buffer.size(); });
    loop.submit(kaio::fully(kaio::read(file, std::vector<char>(8192), 0)),
                [&](kaio::transfer_result result, std::vector<char> buffer) {
                    called += result && result.bytes() == 4096 && buffer.size() == 8192 && buffer[63] == 'd';
                });
    loop.run();
    CHECK(called == 2);
}

TEST_CASE("a request that fails, or that the kernel never got, hands its buffer back too") {
    kaio::buffer_pool pool(3, 64);
    int failed = 0;
    {
        kaio::loop loop(1);
        auto const note = [&](kaio::io_result result, kaio::pooled_buffer buffer) { failed += !result && buffer; };
        loop.submit(kaio::read(-1, pool.acquire(), 0), note);
        CHECK(loop.run() == 1);
        CHECK(failed == 1);
        loop.submit(kaio::read(0, pool.acquire(), 0), note);
        loop.submit(kaio::read(0, pool.acquire(), 0), note);
        CHECK(pool.available() == 1);
    } // ECANCELED
    CHECK(failed == 3);
    CHECK(pool.available() == 3);
}

TEST_CASE("co_await returns the result and the buffer") {
    test::temporary_file const file(4096);
    kaio::loop loop(2);
    auto const work = [](kaio::loop& io_loop, const test::temporary_file& from) -> kaio::task<std::string> {
        auto [result, buffer] = co_await io_loop.submit(kaio::read(from, std::string(5, 'x'), 7));
        if (result.bytes() != buffer.size()) co_return "short";
        auto [whole, bytes] = co_await io_loop.submit(kaio::fully(kaio::read(from, std::move(buffer), 4093)));
        if (!whole || whole.bytes() != 3) co_return "no end";
        auto [again, vector] = co_await io_loop.submit(kaio::read(from, std::vector<char>(100), 0));
        co_return bytes + std::string(vector.data(), again.bytes());
    };
    CHECK(kaio::sync_wait(loop, work(loop, file)) == content(4093, 3) + content(10, 2) + content(0, 100));
}

TEST_CASE("the raw layer submits an owning request where it lies") {
    test::temporary_file const file(4096);
    kaio::context context(2);
    auto first = kaio::read(file, std::string(5, 'x'), 0);
    auto second = kaio::read(file, std::vector<char>(50), 100);
    kaio::iocb blocks[] = {first, second};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
    REQUIRE(context.submit(batch));
    std::array<kaio::io_event, 2> events;
    CHECK(context.wait(events, 2).value("wait") == 2);
    CHECK(first.buffer() == content(0, 5));
    CHECK(std::string(second.buffer().data(), 50) == content(100, 50));
}

TEST_CASE("a loop that was moved from refuses, and the handler and the buffer stay with the caller") {
    kaio::loop loop(2);
    kaio::loop const moved(std::move(loop));
    auto request = kaio::read(0, own_buffer(), 0);
    int called = 0;
    auto const refused = loop.try_submit(std::move(request), [&](kaio::io_result, own_buffer) { ++called; });
    CHECK(refused.error().value() == EINVAL);
    CHECK(request.buffer().data() != nullptr);
    CHECK(called == 0);
}
