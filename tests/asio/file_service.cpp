#include "support/catch.hpp"

#include "asio/asio.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <kaio/asio/random_access_file.hpp>
#include <kaio/io/aligned_buffer.hpp>

using kaio::random_access_file;
using test::has_content;
using test::into;
using test::outcome;
using test::temporary_file;

namespace {

void run_in_threads(asio::io_context& context, unsigned count) {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&] { context.run(); });
}

// Reads blocks at random places, one after the other, each by a new read in the handler of the last.
struct reader {
    random_access_file& file;
    std::size_t size; // of the file
    unsigned left;
    std::atomic<unsigned>& good;
    std::minstd_rand random;
    std::vector<unsigned char> bytes = std::vector<unsigned char>(512);

    void next() {
        std::size_t const offset = random() % (size - bytes.size());
        file.async_read_some_at(offset, asio::buffer(bytes),
                                [this, offset](const error_code& error, std::size_t count) {
                                    if (!error && count == bytes.size() && has_content(bytes, offset)) ++good;
                                    if (--left != 0) next();
                                });
    }
};

} // namespace

TEST_CASE("several threads run one io_context, and each handler is called once") {
    constexpr std::size_t size = 200'000;
    constexpr unsigned chains = 24, each = 100;
    asio::io_context context;
    asio::make_service<kaio::file_service>(context, 8u); // fewer than the chains, so some wait for room
    temporary_file const place(size);
    random_access_file file(context, ::dup(place.fd()));
    std::atomic<unsigned> good = 0;
    std::vector<std::unique_ptr<reader>> readers;
    for (unsigned i = 0; i < chains; ++i)
        readers.push_back(std::make_unique<reader>(reader{file, size, each, good, std::minstd_rand(i + 1)}));
    {
        // Half of the chains are started while the threads run.
        for (unsigned i = 0; i < chains / 2; ++i) readers[i]->next();
        std::jthread const starter([&] {
            auto const work = asio::make_work_guard(context);
            for (unsigned i = chains / 2; i < chains; ++i) readers[i]->next();
        });
        run_in_threads(context, 4);
    }
    context.restart();
    context.run();
    CHECK(good == chains * each);
}

TEST_CASE("handlers of a strand are called one at a time, also in several threads") {
    constexpr std::size_t size = 200'000;
    asio::io_context context;
    temporary_file const place(size);
    random_access_file file(asio::make_strand(context), ::dup(place.fd()));
    unsigned good = 0, inside = 0, most = 0; // not atomic: ThreadSanitizer looks
    std::array<std::vector<unsigned char>, 16> bytes;
    for (std::size_t i = 0; i < 400; ++i) {
        std::vector<unsigned char>& own = bytes[i % bytes.size()];
        own.resize(512);
        file.async_read_some_at(i * 64, asio::buffer(own), [&](const error_code& error, std::size_t count) {
            most = std::max(most, ++inside);
            if (!error && count == 512) ++good;
            --inside;
        });
    }
    run_in_threads(context, 4);
    CHECK(good == 400);
    CHECK(most == 1);
}

TEST_CASE("files are opened and closed in several threads while others are read") {
    constexpr std::size_t size = 20'000;
    asio::io_context context;
    asio::make_service<kaio::file_service>(context, 4u);
    temporary_file const place(size), other(size);
    std::atomic<unsigned> read = 0, aborted = 0, wrong = 0;
    std::function<void(unsigned)> const turn = [&](unsigned left) {
        auto file = std::make_shared<random_access_file>(context, place.path(), random_access_file::read_only);
        auto bytes = std::make_shared<std::vector<unsigned char>>(100);
        file->async_read_some_at(500, asio::buffer(*bytes), [&, bytes, left](const error_code& error, std::size_t) {
            if (!error && has_content(*bytes, 500))
                ++read;
            else if (error == asio::error::operation_aborted)
                ++aborted;
            else
                ++wrong;
            if (left != 0) turn(left - 1);
        });
        // The file may be closed before the kernel has the request, or while another thread is handing it over. Then
        // its number belongs to this one, which can't be read.
        if (left % 2 == 0) {
            file->close();
            random_access_file const next(context, other.path(), random_access_file::write_only);
        } else {
            asio::post(context, [file] { file->close(); });
        }
    };
    for (unsigned i = 0; i < 8; ++i) turn(100);
    run_in_threads(context, 4);
    CHECK(wrong == 0);
    CHECK(read + aborted == 8 * 101);
    CHECK(aborted > 0);
}

TEST_CASE("run_one calls one handler, and one that throws takes none with it") {
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    char bytes[8];
    int called = 0;
    for (char& byte : bytes)
        file.async_read_some_at(0, asio::buffer(&byte, 1), [&](const error_code&, std::size_t) {
            if (++called % 2 == 0) throw called;
        });
    int before = 0, thrown = 0;
    for (bool more = true; more;) {
        try {
            more = context.run_one() != 0;
        } catch (int) {
            ++thrown;
        }
        CHECK(called <= before + 1);
        before = called;
    }
    CHECK(called == 8);
    CHECK(thrown == 4);
}

TEST_CASE("more requests than the kernel has room for wait their turn") {
    asio::io_context context;
    asio::make_service<kaio::file_service>(context, 2u);
    temporary_file const place(1000);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(1000);
    unsigned done = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        file.async_read_some_at(i, asio::buffer(&bytes[i], 1),
                                [&](const error_code& error, std::size_t count) { done += !error && count == 1; });
    context.run();
    CHECK(done == 1000);
    CHECK(has_content(bytes, 0));
}

TEST_CASE("events are taken by io_getevents too, and then the eventfd tells of them") {
    asio::io_context context;
    asio::make_service<kaio::file_service>(context, 4u, kaio::reaping::syscall);
    temporary_file const place(1000);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(100);
    unsigned done = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        file.async_read_some_at(i, asio::buffer(&bytes[i], 1),
                                [&](const error_code& error, std::size_t) { done += !error; });
    context.run();
    CHECK(done == 100);
    CHECK(has_content(bytes, 0));
}

TEST_CASE("the end of an io_context waits for the kernel, and calls no handler") {
    temporary_file const place(8192, ".");
    auto const token = std::make_shared<int>();
    kaio::aligned_buffer bytes(8 * 4096, 4096);
    int called = 0;
    {
        asio::io_context other, context; // the other one outlives the handlers that belong to it
        asio::make_service<kaio::file_service>(context, 4u);
        random_access_file file(context);
        error_code refused; // where there is no direct I/O, nothing is in flight for long
        file.open(place.path(), random_access_file::read_only | random_access_file::direct, refused);
        if (refused) file.open(place.path(), random_access_file::read_only);
        for (std::size_t i = 0; i < 8; ++i) {
            auto const handler = [&called, token](const error_code&, std::size_t) { ++called; };
            auto const buffer = asio::buffer(bytes.data() + i * 4096, 4096);
            if (i % 2 == 0)
                file.async_read_some_at(0, buffer, handler);
            else
                file.async_read_some_at(0, buffer, asio::bind_executor(other, handler));
        }
        test::hand_over(context); // of half of them, for the others there is no room
        CHECK(token.use_count() == 9);
    }
    CHECK(token.use_count() == 1);
    CHECK(called == 0);
}

TEST_CASE("handlers that own their file may be destroyed with the io_context") {
    temporary_file const place(100);
    int fd = -1;
    {
        asio::io_context context;
        for (int i = 0; i < 4; ++i) {
            auto file = std::make_shared<random_access_file>(context, ::dup(place.fd()));
            auto byte = std::make_shared<char>();
            fd = file->native_handle();
            file->async_read_some_at(0, asio::buffer(byte.get(), 1), [file, byte](const error_code&, std::size_t) {});
            if (i == 1) test::hand_over(context);
        }
    }
    CHECK(::fcntl(fd, F_GETFD) < 0);
}

TEST_CASE("after a fork that Asio knows of, parent and child go on reading") {
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> before(10), after(10);
    std::optional<outcome> first, second;
    file.async_read_some_at(5, asio::buffer(before), into(first));
    test::hand_over(context);
    context.notify_fork(asio::io_context::fork_prepare);
    int const child = ::fork();
    context.notify_fork(child == 0 ? asio::io_context::fork_child : asio::io_context::fork_parent);
    file.async_read_some_at(50, asio::buffer(after), into(second));
    context.run();
    bool const good =
        first && !first->error && has_content(before, 5) && second && !second->error && has_content(after, 50);
    if (child == 0) ::_exit(good ? 0 : 1);
    CHECK(good);
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}
