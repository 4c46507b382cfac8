#include "support/catch.hpp"

#include "asio/asio.hpp"

#include <array>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kaio/asio/random_access_file.hpp>
#include <kaio/io/aligned_buffer.hpp>

#define CASE(text) TEST_CASE(WITH_ASIO text, "[random_access_file]")

namespace {

using kaio::random_access_file;
using test::has_content;
using test::into;
using test::outcome;
using test::temporary_file;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

template <class Function> error_code error_of(Function function) {
    try {
        function();
    } catch (const system_error& thrown) {
        return thrown.code();
    }
    return {};
}

} // namespace

CASE("a file is opened as its flags say") {
    asio::io_context context;
    temporary_file const place(10);
    std::string const fresh = place.path() + "-new";
    error_code error;

    random_access_file file(context);
    CHECK_FALSE(file.is_open());
    CHECK(file.native_handle() == -1);
    file.open(fresh, random_access_file::read_only, error);
    CHECK(error.value() == ENOENT);
    CHECK_FALSE(file.is_open());
    CHECK(error_of([&] { file.open(fresh, random_access_file::read_only); }).value() == ENOENT);
    CHECK(error_of([&] { random_access_file(context, fresh, random_access_file::read_only); }).value() == ENOENT);

    file.open(fresh, random_access_file::read_write | random_access_file::create);
    CHECK(file.is_open());
    CHECK((::fcntl(file.native_handle(), F_GETFD) & FD_CLOEXEC) != 0);
    file.open(place.path(), random_access_file::read_only, error);
    CHECK(error == asio::error::already_open);
    file.assign(place.fd(), error);
    CHECK(error == asio::error::already_open);
    auto const exclusive = random_access_file::write_only | random_access_file::create | random_access_file::exclusive;
    random_access_file(context).open(fresh, exclusive, error);
    CHECK(error.value() == EEXIST);
    ::unlink(fresh.c_str());

    random_access_file const cut(context, place.path().c_str(),
                                 random_access_file::write_only | random_access_file::truncate);
    CHECK(cut.size() == 0);
    random_access_file synced(context, place.path(),
                              random_access_file::read_write | random_access_file::sync_all_on_write);
    CHECK((::fcntl(synced.native_handle(), F_GETFL) & O_SYNC) == O_SYNC);
    random_access_file direct(context.get_executor(), place.path(),
                              random_access_file::read_only | random_access_file::direct);
    CHECK((::fcntl(direct.native_handle(), F_GETFL) & O_DIRECT) != 0);
}

CASE("a file owns its descriptor until it is closed, released or destroyed") {
    asio::io_context context;
    temporary_file const place(10);
    error_code error;
    int fd = ::dup(place.fd());
    {
        random_access_file const file(context, fd);
        CHECK(is_open(fd));
    }
    CHECK_FALSE(is_open(fd));

    random_access_file file(context.get_executor());
    file.assign(-1, error);
    CHECK(error == asio::error::bad_descriptor);
    file.assign(::dup(place.fd()));
    fd = file.native_handle();
    CHECK(file.release() == fd);
    CHECK(is_open(fd));
    CHECK_FALSE(file.is_open());
    CHECK(error_of([&] { (void)file.release(); }) == asio::error::bad_descriptor);

    file.assign(fd);
    file.close();
    CHECK_FALSE(is_open(fd));
    file.close(error); // nothing happens
    CHECK_FALSE(error);
    file.cancel(error);
    CHECK(error == asio::error::bad_descriptor);
}

CASE("a file moves with its descriptor, also to another type of executor") {
    asio::io_context context;
    temporary_file const place(10);
    kaio::basic_random_access_file<asio::io_context::executor_type> file(context, ::dup(place.fd()));
    int const fd = file.native_handle();
    static_assert(std::is_same_v<decltype(file)::rebind_executor<asio::any_io_executor>::other, random_access_file>);

    random_access_file other(std::move(file));
    CHECK(other.native_handle() == fd);
    CHECK_FALSE(file.is_open());
    CHECK(other.get_executor() == context.get_executor());

    random_access_file third(context, ::dup(place.fd()));
    int const replaced = third.native_handle();
    third = std::move(other);
    CHECK_FALSE(is_open(replaced));
    CHECK(third.native_handle() == fd);
    decltype(file) fourth(context, ::dup(place.fd()));
    third = std::move(fourth);
    CHECK_FALSE(is_open(fd));
    CHECK(third.is_open());
}

CASE("a file is measured, resized and synchronised") {
    asio::io_context context;
    temporary_file const place(10);
    error_code error;
    random_access_file file(context, ::dup(place.fd()));
    CHECK(file.size() == 10);
    file.resize(20);
    CHECK(file.size(error) == 20);
    CHECK_FALSE(error);
    file.resize(UINT64_MAX, error);
    CHECK(error.value() == EINVAL);
    file.sync_all();
    file.sync_data();
    file.sync_all(error);
    CHECK_FALSE(error);
    file.close();
    file.sync_data(error);
    CHECK(error == asio::error::bad_descriptor);
    CHECK(file.size(error) == 0);
    CHECK(error == asio::error::bad_descriptor);
}

CASE("synchronous transfers are read and written at once") {
    asio::io_context context;
    temporary_file const place(100);
    error_code error;
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(30);
    CHECK(file.read_some_at(60, asio::buffer(bytes)) == 30);
    CHECK(has_content(bytes, 60));
    CHECK(file.read_some_at(90, asio::buffer(bytes)) == 10);
    CHECK(file.read_some_at(100, asio::buffer(bytes), error) == 0);
    CHECK(error == asio::error::eof);
    CHECK(error_of([&] { file.read_some_at(100, asio::buffer(bytes)); }) == asio::error::eof);
    CHECK(file.read_some_at(100, asio::buffer(bytes, 0)) == 0); // no bytes, so no end of the file
    CHECK(file.read_some_at(UINT64_MAX, asio::buffer(bytes), error) == 0);
    CHECK(error.value() == EINVAL);

    std::array<char, 2> const first{'a', 'b'};
    std::string const second = "cde";
    CHECK(file.write_some_at(10, std::array<asio::const_buffer, 2>{asio::buffer(first), asio::buffer(second)}) == 5);
    std::array<char, 2> head;
    std::array<char, 3> tail;
    CHECK(file.read_some_at(10, std::vector<asio::mutable_buffer>{asio::buffer(head), asio::buffer(tail)}) == 5);
    CHECK(std::string(head.data(), 2) + std::string(tail.data(), 3) == "abcde");
    CHECK(asio::read_at(file, 0, asio::buffer(bytes)) == 30);
    CHECK(asio::write_at(file, 0, asio::buffer(bytes)) == 30);
}

CASE("a handler gets what was transferred, and is called by the io_context only") {
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(30);
    std::optional<outcome> read, short_read, end, nothing, written;
    file.async_read_some_at(60, asio::buffer(bytes), into(read));
    std::vector<unsigned char> more(30);
    file.async_read_some_at(90, asio::buffer(more), into(short_read));
    file.async_read_some_at(100, asio::buffer(more), into(end));
    file.async_read_some_at(100, asio::buffer(more, 0), into(nothing));
    CHECK_FALSE((read || short_read || end || nothing));
    CHECK(context.run() > 0);
    CHECK((read && !read->error && read->bytes == 30));
    CHECK(has_content(bytes, 60));
    CHECK((short_read && !short_read->error && short_read->bytes == 10));
    CHECK((end && end->error == asio::error::eof && end->bytes == 0));
    CHECK((nothing && !nothing->error && nothing->bytes == 0));

    std::string const text = "text";
    file.async_write_some_at(200, asio::buffer(text), into(written));
    context.restart();
    context.run(); // returns when nothing is outstanding, although the file is open
    CHECK((written && !written->error && written->bytes == 4));
    CHECK(file.size() == 204);
}

CASE("several buffers are one transfer, as many as the kernel gets at once") {
    asio::io_context context;
    temporary_file const place(4096);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(200);
    std::vector<asio::mutable_buffer> buffers;
    for (unsigned char& byte : bytes) buffers.push_back(asio::buffer(&byte, 1));
    std::optional<outcome> some, all, written;
    file.async_read_some_at(7, buffers, into(some));
    context.run();
    CHECK((some && !some->error && some->bytes == 64));
    asio::async_read_at(file, 7, buffers, into(all));
    context.restart();
    context.run();
    CHECK((all && !all->error && all->bytes == 200));
    CHECK(has_content(bytes, 7));
    file.async_write_some_at(8, buffers, into(written));
    context.restart();
    context.run();
    CHECK((written && written->bytes == 64));
    CHECK(file.read_some_at(8, asio::buffer(bytes, 64)) == 64);
    CHECK(bytes[63] == temporary_file::content(7 + 63));
}

CASE("errors come to the handler: no file, a wrong alignment, no native AIO") {
    asio::io_context context;
    std::vector<unsigned char> bytes(100);
    std::optional<outcome> closed, unaligned, refused;
    random_access_file file(context);
    file.async_read_some_at(0, asio::buffer(bytes), into(closed));
    context.run();
    CHECK((closed && closed->error == asio::error::bad_descriptor));

    temporary_file const place(8192, ".");
    error_code error;
    file.open(place.path(), random_access_file::read_only | random_access_file::direct, error);
    if (!error && kaio::file::adopt(::dup(file.native_handle())).support() == kaio::direct_support::reported) {
        file.async_read_some_at(1, asio::buffer(bytes), into(unaligned));
        context.restart();
        context.run();
        CHECK((unaligned && unaligned->error == asio::error::invalid_argument));
    }

    asio::io_context without;
    asio::make_service<kaio::file_service>(without, 0u); // which io_setup refuses
    random_access_file never(without, ::dup(place.fd()));
    never.async_read_some_at(0, asio::buffer(bytes), into(refused));
    without.run();
    CHECK((refused && refused->error == asio::error::invalid_argument));
}

CASE("direct I/O reads and writes aligned blocks") {
    asio::io_context context;
    temporary_file const place(8192, ".");
    error_code error;
    random_access_file file(context);
    file.open(place.path(), random_access_file::read_write | random_access_file::direct, error);
    if (error) SKIP_TEST("this file system has no direct I/O");
    kaio::aligned_buffer buffer(4096, 4096);
    std::optional<outcome> read, written;
    file.async_read_some_at(4096, asio::buffer(buffer.data(), buffer.size()), into(read));
    context.run();
    REQUIRE((read && !read->error && read->bytes == 4096));
    CHECK(static_cast<unsigned char>(buffer.data()[5]) == temporary_file::content(4096 + 5));
    file.async_write_some_at(0, asio::buffer(buffer.data(), buffer.size()), into(written));
    context.restart();
    context.run();
    CHECK((written && !written->error && written->bytes == 4096));
    unsigned char byte = 0;
    CHECK(::pread(place.fd(), &byte, 1, 5) == 1);
    CHECK(byte == temporary_file::content(4096 + 5));
}

CASE("every kind of completion token works") {
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(50);

    std::future<std::size_t> read = file.async_read_some_at(10, asio::buffer(bytes), asio::use_future);
    std::future<std::size_t> end = file.async_read_some_at(100, asio::buffer(bytes, 1), asio::use_future);
    context.run();
    CHECK(read.get() == 50);
    CHECK(has_content(bytes, 10));
    CHECK(error_of([&] { end.get(); }) == asio::error::eof);

    bool finished = false;
    auto const coroutine = [&]() -> asio::awaitable<void> {
        std::vector<unsigned char> block(20);
        CHECK(co_await file.async_read_some_at(3, asio::buffer(block), asio::use_awaitable) == 20);
        CHECK(has_content(block, 3));
        CHECK(co_await asio::async_write_at(file, 150, asio::buffer(block), asio::use_awaitable) == 20);
        CHECK(co_await asio::async_read_at(file, 150, asio::buffer(block), asio::use_awaitable) == 20);
        // As asio::use_awaitable_t<>::as_default_on_t makes one.
        using file_of_coroutines = random_access_file::rebind_executor<
            asio::use_awaitable_t<>::executor_with_default<asio::any_io_executor>>::other;
        file_of_coroutines by_default(std::move(file));
        CHECK(co_await by_default.async_read_some_at(150, asio::buffer(block)) == 20);
        CHECK(co_await by_default.async_write_some_at(0, asio::buffer(block)) == 20);
        finished = true;
    };
    asio::co_spawn(context, coroutine, asio::detached);
    context.restart();
    context.run();
    CHECK(finished);

#ifndef KAIO_BOOST_ASIO
    std::optional<outcome> later;
    file.assign(::dup(place.fd()));
    auto const deferred = file.async_read_some_at(150, asio::buffer(bytes), asio::experimental::deferred);
    context.restart();
    CHECK(context.run() == 0); // nothing was started
    deferred(into(later));
    context.restart();
    context.run();
    CHECK((later && !later->error && later->bytes == 20));
#endif
}

CASE("a handler is called on its executor, whose context is at work until then") {
    asio::io_context context, other;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    std::vector<unsigned char> bytes(50);
    std::optional<outcome> elsewhere;
    bool in_strand = false;

    file.async_read_some_at(0, asio::buffer(bytes), asio::bind_executor(other, into(elsewhere)));
    CHECK(other.poll() == 0);
    CHECK_FALSE(other.stopped()); // because the handler is outstanding
    context.run();
    CHECK_FALSE(elsewhere);
    CHECK(other.run() == 1);
    CHECK((elsewhere && elsewhere->bytes == 50));

    auto const strand = asio::make_strand(context);
    random_access_file in(strand, ::dup(place.fd())); // the strand is the executor of all its handlers
    in.async_read_some_at(0, asio::buffer(bytes),
                          [&](const error_code&, std::size_t) { in_strand = strand.running_in_this_thread(); });
    context.restart();
    context.run();
    CHECK(in_strand);

    asio::thread_pool pool(1); // a file on another kind of context
    random_access_file on_pool(pool, ::dup(place.fd()));
    std::future<std::size_t> read = on_pool.async_read_some_at(0, asio::buffer(bytes), asio::use_future);
    CHECK(read.get() == 50);
    pool.join();
}

namespace {

// Counts what it allocates and frees.
template <class T> struct counting {
    using value_type = T;
    long* live;
    long* most;

    counting(long* now, long* peak) : live(now), most(peak) {}
    template <class Other> counting(const counting<Other>& other) : live(other.live), most(other.most) {}
    T* allocate(std::size_t count) {
        *live += 1;
        *most = std::max(*most, *live);
        return std::allocator<T>().allocate(count);
    }
    void deallocate(T* memory, std::size_t count) {
        *live -= 1;
        std::allocator<T>().deallocate(memory, count);
    }
    template <class Other> bool operator==(const counting<Other>& other) const { return live == other.live; }
};

struct counting_handler {
    long* live;
    long* most;
    long* in_call;

    using allocator_type = counting<void>;
    allocator_type get_allocator() const { return {live, most}; }
    void operator()(const error_code&, std::size_t) const { *in_call = *live; }
};

} // namespace

CASE("an operation lives in memory of its handler's allocator, which is free when the handler is called") {
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    char byte = 0;
    long live = 0, most = 0, in_call = -1;
    file.async_read_some_at(0, asio::buffer(&byte, 1), counting_handler{&live, &most, &in_call});
    CHECK(live == 1);
    context.run();
    CHECK(most == 1);
    CHECK(in_call == 0);
}

CASE("what waits for the kernel is cancelled, and what the kernel has completes") {
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd())), other(context, ::dup(place.fd()));
    char bytes[4];
    std::optional<outcome> first, second, third, fourth;
    file.async_read_some_at(0, asio::buffer(&bytes[0], 1), into(first));
    file.async_read_some_at(0, asio::buffer(&bytes[1], 1), into(second));
    other.async_read_some_at(0, asio::buffer(&bytes[2], 1), into(third));
    file.cancel();
    CHECK_FALSE((first || second)); // not by cancel() itself
    file.async_read_some_at(0, asio::buffer(&bytes[3], 1), into(fourth));
    context.run();
    CHECK((first && first->error == asio::error::operation_aborted && first->bytes == 0));
    CHECK((second && second->error == asio::error::operation_aborted));
    CHECK((third && !third->error));   // of another file
    CHECK((fourth && !fourth->error)); // started later

    first.reset();
    file.async_read_some_at(0, asio::buffer(&bytes[0], 1), into(first));
    test::hand_over(context);
    file.cancel();
    context.run();
    CHECK((first && !first->error && first->bytes == 1));
}

CASE("what waits for the kernel does not reach another file that gets its descriptor") {
    asio::io_context context;
    temporary_file const place(100), another(0);
    random_access_file file(context, ::dup(place.fd()));
    int const fd = file.native_handle();
    std::optional<outcome> written, released;
    file.async_write_some_at(0, asio::buffer("wrong", 5), into(written));
    file.close();
    REQUIRE(::dup2(another.fd(), fd) == fd);
    file.assign(fd);
    file.async_write_some_at(0, asio::buffer("wrong", 5), into(released));
    CHECK(file.release() == fd);
    context.run();
    CHECK((written && written->error == asio::error::operation_aborted));
    CHECK((released && released->error == asio::error::operation_aborted));
    CHECK(::lseek(another.fd(), 0, SEEK_END) == 0);
    ::close(fd);
}

CASE("a file may go while the kernel has its transfer") {
    asio::io_context context;
    temporary_file const place(100);
    std::vector<unsigned char> bytes(50);
    std::optional<outcome> read;
    {
        random_access_file file(context, ::dup(place.fd()));
        file.async_read_some_at(0, asio::buffer(bytes), into(read));
        test::hand_over(context);
    }
    context.run();
    CHECK((read && !read->error && read->bytes == 50));
    CHECK(has_content(bytes, 0));
}

#if defined(KAIO_ASIO_HAS_SLOTS)
CASE("a cancellation slot cancels its own operation, if that waits for the kernel") {
    auto const kind = GENERATE(asio::cancellation_type::terminal, asio::cancellation_type::partial,
                               asio::cancellation_type::total, asio::cancellation_type::none);
    asio::io_context context;
    temporary_file const place(100);
    random_access_file file(context, ::dup(place.fd()));
    char bytes[3];
    asio::cancellation_signal signal, unused;
    std::optional<outcome> cancelled, other, in_kernel;
    file.async_read_some_at(0, asio::buffer(&bytes[0], 1),
                            asio::bind_cancellation_slot(signal.slot(), into(cancelled)));
    file.async_read_some_at(0, asio::buffer(&bytes[1], 1), asio::bind_cancellation_slot(unused.slot(), into(other)));
    signal.emit(kind);
    CHECK_FALSE(cancelled);
    context.run();
    bool const none = kind == asio::cancellation_type::none;
    CHECK((cancelled && cancelled->error == (none ? error_code() : error_code(asio::error::operation_aborted))));
    CHECK((other && !other->error));

    file.async_read_some_at(0, asio::buffer(&bytes[2], 1),
                            asio::bind_cancellation_slot(signal.slot(), into(in_kernel)));
    test::hand_over(context);
    signal.emit(kind);
    context.run();
    CHECK((in_kernel && !in_kernel->error));
    signal.emit(kind); // when there is nothing to cancel
}

#endif
