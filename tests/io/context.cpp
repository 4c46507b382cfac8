#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/loop_device.hpp"
#include "support/rounds.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/time.h>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>

using namespace std::chrono_literals;

namespace {

struct eventfd_pair {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    ~eventfd_pair() { ::close(fd); }
};

// Submits one request and returns its result. An error of io_submit is also returned as the result.
std::int64_t result_of(kaio::context& context, const kaio::request& request) {
    kaio::iocb block = request;
    kaio::iocb* batch[] = {&block};
    if (auto const answer = context.submit(batch); !answer) return -answer.error_number();
    kaio::io_event event;
    REQUIRE(*context.wait({&event, 1}) == 1);
    CHECK(event.request() == &block);
    return event.res;
}

void on_alarm(int) {}

} // namespace

TEST_CASE("requests complete with their bytes and their own data, from the ring and by io_getevents") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(64 * 1024);
    kaio::context context(16, {.events = how});
    CHECK(context.uses_ring() == (how == kaio::reaping::ring));
    CHECK(context.capacity() == 16);

    std::array<std::array<unsigned char, 4096>, 16> buffers;
    std::array<kaio::iocb, 16> blocks;
    std::array<kaio::iocb*, 16> batch;
    for (std::size_t i = 0; i < 16; ++i) {
        blocks[i] = kaio::read(file.fd(), buffers[i], static_cast<std::int64_t>(i * 4096));
        blocks[i].aio_data = i;
        batch[i] = &blocks[i];
    }
    auto const answer = context.submit(batch);
    CHECK(answer);
    CHECK(answer.accepted() == 16);
    CHECK(context.in_flight() == 16);
    CHECK(context.has_completions());

    std::array<kaio::io_event, 5> events;
    std::vector<int> seen(16);
    unsigned left = 16;
    while (left != 0) {
        unsigned const count = context.reap(events);
        for (kaio::io_event const& event : std::span(events).first(count)) {
            CHECK(event.res == 4096);
            ++seen[event.data];
        }
        left -= count;
    }
    CHECK(seen == std::vector<int>(16, 1));
    CHECK(context.in_flight() == 0);
    CHECK(!context.has_completions());
    CHECK(context.reap(events) == 0);
    for (std::size_t i = 0; i < 16; ++i)
        for (std::size_t j = 0; j < 4096; ++j)
            if (buffers[i][j] != test::temporary_file::content(i * 4096 + j)) FAIL("wrong byte");
}

TEST_CASE("of a good, a bad and a good request, submit takes the first, and returns which one failed and why") {
    test::temporary_file file(4096);
    char buffer[16];
    kaio::context context(8);
    kaio::iocb good = kaio::read(file.fd(), buffer, 0), bad = kaio::read(-1, buffer, 0), last = good;
    kaio::iocb* batch[] = {&good, &bad, &last};
    auto const answer = context.submit(batch);
    CHECK(!answer);
    CHECK(answer.accepted() == 1);
    CHECK(answer.failed() == 1);
    CHECK(answer.error() == std::errc::bad_file_descriptor);
    CHECK(!answer.ring_full());
    CHECK(context.in_flight() == 1);
    CHECK(context.submit(std::span(batch).subspan(2)));
    kaio::io_event events[4];
    CHECK(*context.wait(events, 2) == 2);
    CHECK(context.submit({}));
}

TEST_CASE("the three meanings of EAGAIN can be distinguished") {
    SECTION("no room in the ring: take events, then submit the rest") {
        eventfd_pair event;
        kaio::context context(1);
        std::vector<kaio::iocb> blocks(4096, kaio::poll(event.fd, POLLIN));
        std::vector<kaio::iocb*> batch;
        for (auto& block : blocks) batch.push_back(&block);
        auto const answer = context.submit(batch);
        REQUIRE(!answer);
        CHECK(answer.ring_full());
        CHECK(answer.accepted() >= 1);
        ::eventfd_write(event.fd, 1); // all the polls complete
        std::vector<kaio::io_event> events(4096);
        CHECK(*context.wait(events, answer.accepted()) == answer.accepted());
        CHECK(context.submit(std::span(batch).subspan(answer.failed(), 1)));
        CHECK(*context.wait(events, 1) == 1);
    }
    SECTION("the system's quota: the text names the call, the capacity, the limit, what is in use and the remedy") {
        std::string const quota = kaio::detail::fs_setting("/proc/sys/fs/aio-max-nr").text;
        auto const more = static_cast<unsigned>(std::stoul(quota)) + 1;
        if (more > 4'000'000) SKIP_TEST("fs.aio-max-nr is larger than one io_setup can use up");
        CHECK(kaio::context::try_make(more).error() == std::errc::resource_unavailable_try_again);
        CHECK_THROWS_WITH(kaio::context(more), test::ContainsSubstring("io_setup(" + std::to_string(more) + ")") &&
                                                   test::ContainsSubstring("fs.aio-max-nr = " + quota) &&
                                                   test::ContainsSubstring("fs.aio-nr (in use) = ") &&
                                                   test::ContainsSubstring("sysctl -w fs.aio-max-nr"));
    }
    SECTION("a completed request would have blocked") {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        kaio::context context(1);
        char buffer[1];
        std::int64_t const res = result_of(context, kaio::read(ends[0], buffer, 0));
        ::close(ends[0]);
        ::close(ends[1]);
        if (res == -ESPIPE || res == -EINVAL) SKIP_TEST("this kernel can't read pipes by native AIO");
        CHECK(kaio::io_result(res).would_block());
    }
}

TEST_CASE("an impossible capacity is refused") {
    CHECK(kaio::context::try_make(0).error() == std::errc::invalid_argument);
    CHECK_THROWS_WITH(kaio::context(0), test::ContainsSubstring("io_setup(0)") && test::ContainsSubstring("1 or more"));
    CHECK(kaio::context::try_make(~0u).error() == std::errc::invalid_argument);
    CHECK_THROWS_WITH(kaio::context(~0u), test::ContainsSubstring("4 million"));
    CHECK_THROWS_WITH(kaio::context::try_make(~0u).value("making one"),
                      test::StartsWith("making one: io_setup: ") && test::ContainsSubstring("4 million"));
}

TEST_CASE("for every error of io_setup the text has the call, the capacity and the remedy") {
    auto const [error, remedy] = GENERATE(table<int, const char*>({{EAGAIN, "sysctl -w fs.aio-max-nr"},
                                                                   {EINVAL, "ask for less"},
                                                                   {ENOMEM, "memory limit"},
                                                                   {ENOSYS, "threads with pread"},
                                                                   {EPERM, "seccomp"},
                                                                   {EACCES, "seccomp"},
                                                                   {EFAULT, "unexpected"}}));
    test::script script;
    script.setup[1] = -error;
    using scripted_context = kaio::basic_context<test::scripted_kernel>;
    CHECK_THROWS_WITH(scripted_context(8, {}, test::scripted_kernel(script)),
                      test::ContainsSubstring("kaio: io_setup(8): ") && test::ContainsSubstring(remedy));
    script.setup[2] = -error;
    std::error_code const code = scripted_context::try_make(8, {}, test::scripted_kernel(script)).error();
    CHECK(code.value() == error);
    CHECK(code == static_cast<std::errc>(error));
    CHECK_THAT(code.message(), test::StartsWith("io_setup: ") && test::ContainsSubstring(remedy));
}

TEST_CASE("without memory for the mark of the process, making a context fails and io_setup is not called") {
    test::script script;
    script.no_mark = true;
    auto const made = kaio::basic_context<test::scripted_kernel>::try_make(4, {}, test::scripted_kernel(script));
    CHECK(made.error().value() == ENOMEM);
    CHECK(script.setups == 0);
}

TEST_CASE("the mark of the process is freed with its context, and if the context can't be made") {
    test::script script;
    script.setup[1] = -EINVAL;
    using scripted_context = kaio::basic_context<test::scripted_kernel>;
    CHECK(scripted_context::try_make(4, {}, test::scripted_kernel(script)).error().value() == EINVAL);
    CHECK(script.marks == 0);
    {
        scripted_context context(4, {}, test::scripted_kernel(script));
        CHECK(script.marks == 1);
        scripted_context const moved(std::move(context));
        CHECK(script.marks == 1);
    }
    CHECK(script.marks == 0);
}

TEST_CASE("with at_least the capacity is halved until there is room, and capacity() returns what it became") {
    test::script script;
    test::scripted_kernel const kernel(script);
    using context = kaio::basic_context<test::scripted_kernel>;
    for (unsigned call = 1; call <= 4; ++call) script.setup[call] = -EAGAIN;
    CHECK(context(1000, {.at_least = 10}, kernel).capacity() == 62);
    script.setups = 0;
    CHECK(context(100, {.at_least = 10}, kernel).capacity() == 10);
    CHECK(script.setups == 5);
    script.setups = 0;
    CHECK(!context::try_make(100, {.at_least = 20}, kernel));
    CHECK(script.setups == 4); // 100, 50, 25, 20
    script.setups = 0;
    CHECK(!context::try_make(100, {}, kernel));
    CHECK(script.setups == 1);
}

TEST_CASE("a wait respects its minimum and its limit, and returns at once if nothing is in flight") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    eventfd_pair first, second;
    kaio::context context(4, {.events = how});
    std::array<kaio::io_event, 4> events;
    CHECK(*context.wait(events) == 0); // it does not wait, because nothing is in flight
    CHECK(context.wait(events, 5).error() == std::errc::invalid_argument);
    CHECK(*context.wait({}, 0) == 0);

    kaio::iocb blocks[] = {kaio::poll(first.fd, POLLIN), kaio::poll(second.fd, POLLIN)};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
    REQUIRE(context.submit(batch));
    CHECK(*context.wait(events, 0) == 0);
    auto const start = std::chrono::steady_clock::now();
    CHECK(*context.wait(events, 1, 20ms) == 0);
    CHECK(std::chrono::steady_clock::now() - start >= 20ms);
    ::eventfd_write(first.fd, 1);
    CHECK(*context.wait(events, 2, 20ms) == 1); // the limit ends the wait
    CHECK(events[0].res == POLLIN);
    CHECK(context.in_flight() == 1); // but it ends no request
    ::eventfd_write(second.fd, 1);
    CHECK(*context.wait(events, 4) == 1); // it never waits for more than is in flight
}

TEST_CASE("a wait never waits for a request that io_submit is about to refuse") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::basic_context<test::scripted_kernel>* waiting = nullptr;
    test::script script;
    unsigned taken = 99, in_flight = 99;
    script.before_submit = [&] { // another thread may do this now
        kaio::io_event event;
        taken = *waiting->wait({&event, 1}, 1, 10s);
        in_flight = waiting->in_flight();
    };
    kaio::basic_context<test::scripted_kernel> context(4, {.events = how}, test::scripted_kernel(script));
    waiting = &context;
    char byte = 'x';
    kaio::iocb block = kaio::write(-1, kaio::view<char>(&byte, 1), 0);
    kaio::iocb* batch[] = {&block};
    CHECK(context.submit(batch).error_number() == EBADF);
    CHECK(taken == 0);
    CHECK(in_flight == 0);
    CHECK(script.waits == 0);
}

TEST_CASE("in_flight() is 0, not less, if an event is taken before its submission returns") {
    kaio::basic_context<test::scripted_kernel>* reaping = nullptr;
    test::script script;
    script.most_at_once = 1;
    unsigned taken = 0;
    script.before_submit = [&] {
        kaio::io_event events[2];
        taken += reaping->reap(events);
        CHECK(reaping->in_flight() == 0);
    };
    kaio::basic_context<test::scripted_kernel> context(4, {}, test::scripted_kernel(script));
    reaping = &context;
    char byte = 'x';
    test::temporary_file file(16);
    kaio::iocb blocks[] = {kaio::write(file.fd(), kaio::view<char>(&byte, 1), 0),
                           kaio::write(file.fd(), kaio::view<char>(&byte, 1), 1)};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
    REQUIRE(context.submit(batch)); // in two calls, and a buffered write is complete when its call returns
    CHECK(taken == 1);
    CHECK(context.in_flight() == 1);
    kaio::io_event event;
    CHECK(*context.wait({&event, 1}) == 1);
    CHECK(context.uses_ring());
}

TEST_CASE("a refused request has no event, so a ring that shows one is not trusted") {
    struct found_ring : test::scripted_kernel {
        kaio::aio_context_id* found;
        int io_setup(unsigned events, kaio::aio_context_id* id) const noexcept {
            int const result = test::scripted_kernel::io_setup(events, id);
            *found = *id;
            return result;
        }
    };
    test::script script;
    kaio::aio_context_id id = 0;
    kaio::basic_context<found_ring> context(4, {.events = kaio::reaping::ring},
                                            found_ring{test::scripted_kernel(script), &id});
    if (!context.uses_ring()) SKIP_TEST("there is no trusted ring here");
    char byte = 'x';
    kaio::iocb block = kaio::write(-1, kaio::view<char>(&byte, 1), 0);
    kaio::iocb* batch[] = {&block, &block};
    CHECK(context.submit(batch).error_number() == EBADF);
    CHECK(context.submit_prefix(batch).error_number() == EBADF);
    auto* const ring = reinterpret_cast<kaio::aio_ring*>(id);
    ring->tail = (ring->tail + 1) % ring->nr; // the kernel would not do that
    CHECK(context.completions() == 0);
    kaio::io_event event;
    CHECK(context.reap({&event, 1}) == 0);
    CHECK(!context.uses_ring());
}

TEST_CASE("submit_prefix makes one io_submit, and returns how many requests the kernel took") {
    test::script script;
    script.most_at_once = 2;
    kaio::basic_context<test::scripted_kernel> context(8, {}, test::scripted_kernel(script));
    char bytes[3] = {'a', 'b', 'c'};
    test::temporary_file file(16);
    std::array<kaio::iocb, 4> blocks{};
    for (std::size_t i = 0; i < 3; ++i)
        blocks[i] = kaio::write(file.fd(), kaio::view<char>(&bytes[i], 1), static_cast<std::int64_t>(i));
    blocks[3] = kaio::write(-1, kaio::view<char>(bytes, 1), 0);
    kaio::iocb* batch[] = {&blocks[0], &blocks[1], &blocks[2], &blocks[3]};
    kaio::view<kaio::iocb* const> rest = batch;

    auto answer = context.submit_prefix(rest);
    CHECK(answer);
    CHECK(answer.accepted() == 2);
    CHECK(script.submits == 1);
    CHECK(context.in_flight() == 2);
    rest = rest.subspan(2);
    answer = context.submit_prefix(rest); // the kernel takes the requests before the bad one
    CHECK(answer);
    CHECK(answer.accepted() == 1);
    answer = context.submit_prefix(rest.subspan(1));
    CHECK(!answer);
    CHECK(answer.accepted() == 0);
    CHECK(answer.error_number() == EBADF);
    CHECK(context.submit_prefix({}));
    CHECK(script.submits == 3);
    CHECK(context.in_flight() == 3);
    std::array<kaio::io_event, 4> events;
    CHECK(*context.wait(events, 3) == 3);
    CHECK(context.uses_ring());
}

TEST_CASE("submit submits a whole batch although the kernel takes parts, or stops at the request that it refuses") {
    test::script script;
    script.most_at_once = 2;
    kaio::basic_context<test::scripted_kernel> context(8, {}, test::scripted_kernel(script));
    char bytes[6] = {};
    test::temporary_file file(16);
    std::array<kaio::iocb, 6> blocks{};
    std::array<kaio::iocb*, 6> batch{};
    for (std::size_t i = 0; i < 6; ++i) {
        blocks[i] = kaio::write(file.fd(), kaio::view<char>(&bytes[i], 1), static_cast<std::int64_t>(i));
        batch[i] = &blocks[i];
    }
    auto answer = context.submit(batch);
    CHECK(answer);
    CHECK(answer.accepted() == 6);
    CHECK(script.submits == 3);
    std::array<kaio::io_event, 8> events;
    CHECK(*context.wait(events, 6) == 6);

    blocks[5].aio_fildes = static_cast<std::uint32_t>(-1);
    answer = context.submit(batch);
    CHECK(!answer);
    CHECK(answer.failed() == 5);
    CHECK(answer.error_number() == EBADF);
    CHECK(context.in_flight() == 5);
    CHECK(*context.wait(events, 5) == 5);
    CHECK(context.in_flight() == 0);
}

TEST_CASE("a wait returns the events in the ring first, and behind them those for which it waited") {
    eventfd_pair event;
    test::script script;
    script.before_getevents = [&event] { ::eventfd_write(event.fd, 1); };
    char byte;
    kaio::file const zero = kaio::file::open("/dev/zero", O_RDONLY);
    kaio::iocb read = kaio::read(zero, std::span(&byte, 1), 0), poll = kaio::poll(event.fd, POLLIN);
    read.aio_data = 1;
    poll.aio_data = 2;
    kaio::iocb* batch[] = {&read, &poll};
    {
        kaio::basic_context<test::scripted_kernel> context(4, {.events = kaio::reaping::ring},
                                                           test::scripted_kernel(script));
        REQUIRE(context.submit(batch));
        std::array<kaio::io_event, 4> events{};
        REQUIRE(*context.wait(events, 2) == 2);
        CHECK(events[0].data == 1);
        CHECK(events[1].data == 2);
        CHECK(events[2].data == 0);
    }
    CHECK(script.waits == 1);
    CHECK(script.destroys == 1);
}

TEST_CASE("a wait that a signal ends returns EINTR, with SA_RESTART and without") {
    struct sigaction action{}, old;
    action.sa_handler = on_alarm;
    action.sa_flags = GENERATE(0, SA_RESTART);
    ::sigaction(SIGALRM, &action, &old);
    itimerval const every{{0, 10'000}, {0, 10'000}}, never{};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    eventfd_pair event;
    kaio::context context(1);
    kaio::iocb block = kaio::poll(event.fd, POLLIN);
    kaio::iocb* batch[] = {&block};
    REQUIRE(context.submit(batch));
    kaio::io_event got;
    CHECK(context.wait({&got, 1}).error() == std::errc::interrupted);
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &old, nullptr);
    CHECK(context.in_flight() == 1);
    ::eventfd_write(event.fd, 1);
    CHECK(*context.wait({&got, 1}) == 1);
}

TEST_CASE("a wait with a signal mask uses io_pgetevents, and without one io_getevents") {
    test::script script;
    script.pgetevents[1] = -ENOSYS;
    eventfd_pair event;
    kaio::basic_context<test::scripted_kernel> context(1, {}, test::scripted_kernel(script));
    kaio::iocb block = kaio::poll(event.fd, POLLIN);
    kaio::iocb* batch[] = {&block};
    REQUIRE(context.submit(batch));
    kaio::io_event got;
    sigset_t mask;
    ::sigemptyset(&mask);
    CHECK(context.wait({&got, 1}, 1, {}, &mask).error() == std::errc::function_not_supported);
    CHECK(script.waits == 0);
    ::eventfd_write(event.fd, 1);
    CHECK(*context.wait({&got, 1}) == 1);
    CHECK(script.masked_waits == 1);
}

TEST_CASE("only a poll can be cancelled, and it then completes") {
    eventfd_pair event;
    kaio::context context(2);
    kaio::iocb block = kaio::poll(event.fd, POLLIN);
    kaio::iocb* batch[] = {&block};
    REQUIRE(context.submit(batch));
    CHECK(context.cancel(block));
    kaio::io_event got;
    CHECK(*context.wait({&got, 1}) == 1);
    CHECK(got.res == 0);
    CHECK(context.cancel(block).error() == std::errc::invalid_argument);
    kaio::iocb never = kaio::fsync(0);
    CHECK(context.cancel(never).error() == std::errc::invalid_argument);
}

TEST_CASE("bad requests have the kernel's error, and none is lost") {
    test::temporary_file file(10'000);
    kaio::context context(4);
    std::array<char, 4096> buffer{};
    int const fd = file.fd();
    CHECK(result_of(context, kaio::read(fd, std::span(buffer).first(0), 0)) == 0);
    CHECK(result_of(context, kaio::read(fd, buffer, 1'000'000)) == 0);
    CHECK(result_of(context, kaio::read(fd, buffer, 8192)) == 10'000 - 8192);
    CHECK(result_of(context, kaio::read(fd, buffer, -1)) == -EINVAL);
    CHECK(result_of(context, kaio::read(-1, buffer, 0)) == -EBADF);
    CHECK(result_of(context, kaio::read(fd, std::span(static_cast<char*>(nullptr), 4096), 0)) == -EFAULT);
    CHECK(result_of(context, kaio::read(fd, buffer, 0).flags(static_cast<kaio::rw_flags>(1 << 30))) == -EOPNOTSUPP);
    CHECK(result_of(context, kaio::fsync(fd).flags(kaio::rw_flags::dsync)) == -EINVAL);
    std::vector<iovec> const too_many(1025, {buffer.data(), 1});
    CHECK(result_of(context, kaio::readv(fd, too_many, 0)) == -EINVAL);

    kaio::file const read_only = kaio::file::open(file.path(), O_RDONLY);
    CHECK(result_of(context, kaio::write(read_only, buffer, 0)) == -EBADF);
    kaio::file const write_only = kaio::file::open(file.path(), O_WRONLY);
    CHECK(result_of(context, kaio::read(write_only, buffer, 0)) == -EBADF);
    kaio::file const directory = kaio::file::open("/tmp", O_RDONLY | O_DIRECTORY);
    std::int64_t const res = result_of(context, kaio::read(directory, buffer, 0));
    CHECK((res == -EISDIR || res == -EINVAL));
    CHECK(context.in_flight() == 0);
}

TEST_CASE("misaligned direct I/O completes with EINVAL, or with the right bytes if the file system accepts it") {
    test::temporary_file file(65'536, ".");
    auto opened = kaio::file::try_open(file.path().c_str(), O_RDONLY | O_DIRECT);
    if (!opened) SKIP_TEST("the file system of the build folder has no direct I/O");
    kaio::context context(4);
    kaio::aligned_buffer buffer(8192);
    auto const bytes = std::span(buffer);
    std::span<std::byte> const at_1 = bytes.subspan(1, 4096), of_100 = bytes.first(100);
    int const fd = opened->fd(); // for an int no alignment is asserted
    for (auto const& [request, offset] : {std::pair{kaio::read(fd, at_1, 0), 0},
                                          {kaio::read(fd, of_100, 0), 0},
                                          {kaio::read(fd, bytes.first(4096), 7), 7}}) {
        std::int64_t const res = result_of(context, request);
        if (res == -EINVAL) continue;
        REQUIRE(res == static_cast<std::int64_t>(request.block().aio_nbytes));
        auto const* const got =
            reinterpret_cast<const unsigned char*>(static_cast<std::uintptr_t>(request.block().aio_buf));
        CHECK(got[5] == test::temporary_file::content(static_cast<std::size_t>(offset) + 5));
    }
}

TEST_CASE("every operation does on a real file what it promises") {
    std::string const folder = GENERATE(".", "/dev/shm");
    test::temporary_file file(0, folder);
    int const fd = file.fd();
    kaio::context context(4);
    std::array<char, 6> hello{'h', 'e', 'l', 'l', 'o', '!'};
    CHECK(result_of(context, kaio::write(fd, hello, 10).flags(kaio::rw_flags::dsync)) == 6);
    CHECK(result_of(context, kaio::fdatasync(fd)) == 0);
    CHECK(result_of(context, kaio::fsync(fd)) == 0);
    std::array<iovec, 2> const halves{iovec{hello.data() + 3, 3}, iovec{hello.data(), 3}};
    CHECK(result_of(context, kaio::writev(fd, halves, 100)) == 6);
    std::array<char, 6> back{};
    CHECK(result_of(context, kaio::read(fd, back, 100)) == 6);
    CHECK(std::string(back.data(), 6) == "lo!hel");
    std::array<iovec, 2> const swapped{iovec{back.data() + 3, 3}, iovec{back.data(), 3}};
    CHECK(result_of(context, kaio::readv(fd, swapped, 10)) == 6);
    CHECK(std::string(back.data(), 6) == "lo!hel");
    CHECK(result_of(context, kaio::write(fd, hello, 0).flags(kaio::rw_flags::append)) == 6);
    CHECK(result_of(context, kaio::read(fd, back, 106)) == 6);
    CHECK(std::string(back.data(), 6) == "hello!");
    CHECK(result_of(context, kaio::read(fd, back, 106).priority(kaio::priority_class::best_effort, 7)) == 6);
    for (auto const klass :
         {kaio::priority_class::none, kaio::priority_class::best_effort, kaio::priority_class::idle}) {
        CHECK(result_of(context, kaio::read(fd, back, 106).priority(klass)) == 6);
        CHECK(result_of(context, kaio::read(fd, back, 106).priority(klass, 1000)) == 6);
    }
}

TEST_CASE("a completed request adds 1 to the eventfd it notifies") {
    test::temporary_file file(4096);
    eventfd_pair event;
    kaio::context context(4);
    char buffer[16];
    for (int i = 0; i < 3; ++i) CHECK(result_of(context, kaio::read(file.fd(), buffer, 0).notify(event.fd)) == 16);
    eventfd_t count = 0;
    CHECK(::eventfd_read(event.fd, &count) == 0);
    CHECK(count == 3);
}

TEST_CASE("a write to a full disk is short or completes with ENOSPC, and the context still works") {
    if (::geteuid() != 0) SKIP_TEST("mounting a small file system needs root");
    char folder[] = "/tmp/kaio-full-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    if (::mount("tmpfs", folder, "tmpfs", 0, "size=64k") != 0) {
        ::rmdir(folder);
        SKIP_TEST("mounting is not permitted here");
    }
    {
        kaio::file const file = kaio::file::open(std::string(folder) + "/file", O_RDWR | O_CREAT, 0600);
        kaio::context context(4);
        std::vector<char> const block(40'000, 'x');
        CHECK(result_of(context, kaio::write(file, block, 0)) == 40'000);
        CHECK(result_of(context, kaio::write(file, block, 40'000)) == 65'536 - 40'000);
        CHECK(result_of(context, kaio::write(file, block, 65'536)) == -ENOSPC);
        CHECK(result_of(context, kaio::write(file, block, 0)) == 40'000);
    }
    ::umount(folder);
    ::rmdir(folder);
}

TEST_CASE("moving a context moves its requests, and leaves a context that returns EINVAL") {
    test::temporary_file file(4096);
    char buffer[16];
    kaio::context first(4);
    kaio::iocb block = kaio::read(file.fd(), buffer, 0);
    kaio::iocb* batch[] = {&block};
    REQUIRE(first.submit(batch));
    kaio::context second(std::move(first));
    kaio::io_event event;
    CHECK(!first.usable());
    CHECK(first.capacity() == 0);
    CHECK(first.submit(batch).error() == std::errc::invalid_argument);
    CHECK(first.submit(batch).accepted() == 0);
    CHECK(first.wait({&event, 1}).error() == std::errc::invalid_argument);
    CHECK(first.cancel(block).error() == std::errc::invalid_argument);
    CHECK(first.reap({&event, 1}) == 0);
    CHECK(!first.has_completions());
    CHECK(*second.wait({&event, 1}) == 1);
    first = std::move(second);
    CHECK(first.submit(batch));
    CHECK(*first.wait({&event, 1}) == 1);
}

TEST_CASE("destroying a context waits for disk requests, cancels polls, and returns its share of the quota") {
    test::loop_device device(16 << 20);
    eventfd_pair event;
    std::vector<kaio::aligned_buffer> buffers;
    for (int i = 0; i < 64; ++i) buffers.emplace_back(65'536);
    for (int round = 0; round < 5; ++round) {
        kaio::context context(128);
        std::vector<kaio::iocb> blocks;
        if (device) {
            kaio::file const file = kaio::file::open(device.path(), O_RDONLY | O_DIRECT);
            for (std::size_t i = 0; i < 64; ++i)
                blocks.push_back(kaio::read(file.fd(), buffers[i], static_cast<std::int64_t>(i * 65'536)));
            for (auto& block : blocks) {
                kaio::iocb* batch[] = {&block};
                REQUIRE(context.submit(batch));
            }
        }
        kaio::iocb poll = kaio::poll(event.fd, POLLIN);
        kaio::iocb* batch[] = {&poll};
        REQUIRE(context.submit(batch));
    }
    if (!device) SKIP_TEST(device.why_not());
}

TEST_CASE("after fork the child gets EINVAL and may destroy its copy, and the parent loses no completion") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(4096);
    char buffer[16];
    auto context = std::make_unique<kaio::context>(8, kaio::context_options{.events = how});
    std::vector<kaio::iocb> blocks(8, kaio::read(file.fd(), buffer, 0));
    std::vector<kaio::iocb*> batch;
    for (auto& block : blocks) batch.push_back(&block);
    REQUIRE(context->submit(batch));
    CHECK(test::in_child([&] {
              kaio::io_event events[8];
              if (context->usable() || context->has_completions() || context->completions() != 0) return 1;
              if (context->reap(events) != 0) return 2;
              if (context->wait(events).error().value() != EINVAL) return 3;
              if (context->submit(batch).error().value() != EINVAL) return 4;
              if (context->submit({}).error().value() != EINVAL) return 8;
              if (context->cancel(blocks[0]).error().value() != EINVAL) return 5;
              kaio::context own(8); // perhaps at the address of the parent's ring
              if (!own.submit(batch) || *own.wait(events, 8) != 8) return 6;
              context.reset();
              if (!own.submit(batch) || *own.wait(events, 8) != 8) return 7;
              return 0;
          }) == 0);
    kaio::io_event events[8];
    CHECK(*context->wait(events, 8) == 8);
    CHECK(context->reap(events) == 0);
}

TEST_CASE("one thread may submit while another reaps") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    constexpr unsigned total = test::rounds(20'000), slots = 64;
    test::temporary_file file(4096);
    kaio::context context(slots, {.events = how});
    std::vector<kaio::iocb> blocks(slots);
    std::vector<std::array<char, 16>> buffers(slots);
    std::array<std::atomic<bool>, slots> busy{};
    std::thread submitter([&] {
        for (unsigned sent = 0; sent < total;) {
            std::size_t const slot = sent % slots;
            if (busy[slot].load(std::memory_order_acquire)) {
                std::this_thread::yield();
                continue;
            }
            busy[slot].store(true, std::memory_order_relaxed);
            blocks[slot] = kaio::read(file.fd(), buffers[slot], 0);
            blocks[slot].aio_data = slot;
            kaio::iocb* batch[] = {&blocks[slot]};
            if (context.submit(batch)) ++sent;
        }
    });
    unsigned got = 0;
    std::array<kaio::io_event, 16> events;
    while (got < total) {
        unsigned const count = context.reap(events);
        for (auto const& event : std::span(events).first(count)) {
            if (event.res != 16) FAIL("wrong result");
            if (buffers[event.data][3] != static_cast<char>(test::temporary_file::content(3))) FAIL("wrong byte");
            busy[event.data].store(false, std::memory_order_release);
        }
        got += count;
    }
    submitter.join();
    CHECK(context.in_flight() == 0);
    CHECK(context.uses_ring() == (how == kaio::reaping::ring));
}

TEST_CASE("one thread may wait while another submits good and bad requests") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    constexpr unsigned total = test::rounds(50'000);
    test::temporary_file file(4096);
    kaio::context context(64, {.events = how});
    std::atomic<unsigned> got{0};
    std::thread waiter([&] {
        std::array<kaio::io_event, 16> events;
        while (got < total) got += *context.wait(events);
    });
    char buffer[16];
    kaio::iocb good = kaio::read(file.fd(), buffer, 0), bad = kaio::read(-1, buffer, 0);
    kaio::iocb* good_batch[] = {&good};
    kaio::iocb* bad_batch[] = {&bad};
    unsigned taken = 0;
    for (unsigned sent = 0; sent < total;) {
        sent += context.submit(good_batch).accepted();
        taken += context.submit(bad_batch).accepted(); // refused because it is bad, or for lack of room
    }
    waiter.join();
    CHECK(taken == 0);
    CHECK(context.in_flight() == 0);
    CHECK(context.uses_ring() == (how == kaio::reaping::ring));
}
