// The steady state allocates nothing: every allocation of this program is counted, so this file stands alone.
#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include <kaio/coro/channel.hpp>
#include <kaio/coro/completion.hpp>
#include <kaio/coro/event.hpp>
#include <kaio/coro/mutex.hpp>
#include <kaio/coro/semaphore.hpp>
#include <kaio/coro/task_group.hpp>
#include <kaio/coro/waiting_pool.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/loop/offload.hpp>
#include <kaio/loop/owned_post.hpp>
#include <kaio/loop/posted_request.hpp>

namespace {
unsigned long allocations = 0;
unsigned long failing = 0; // the number of the allocation that fails, from here on; 0: none
#if KAIO_TSAN
constexpr bool uncounted = true;
#else
constexpr bool uncounted = false;
#endif

// A compiler may take it that operator new changes nothing that a program sees, and read the count before.
unsigned long allocations_so_far() {
    __asm__ volatile("" ::: "memory");
    unsigned long const count = allocations;
    __asm__ volatile("" ::: "memory");
    return count;
}

[[maybe_unused]] void* counted(std::size_t size, std::size_t alignment) {
    ++allocations;
    if (failing != 0 && --failing == 0) return nullptr;
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
} // namespace

#if !KAIO_TSAN // it brings operators of its own
// Not inline, or GCC sees malloc and free where it expects new and delete, and warns.
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (void* memory = counted(size, 16)) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size, 16); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
    if (void* memory = counted(size, static_cast<std::size_t>(alignment))) return memory;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace {

constexpr unsigned capacity = 32, total = test::rounds(1'000'000), warm_up = 1'000;

struct driver {
    kaio::loop loop{capacity};
    test::temporary_file file{4096};
    std::array<char, 64> buffer{};
    unsigned left = 0, done = 0;

    // A handler of 48 bytes, the most that needs no allocation.
    struct handler {
        driver* all;
        std::array<void*, 5> more{};
        void operator()(kaio::io_result r) const {
            if (r.bytes() == 64) ++all->done;
            if (all->left > 0) all->next();
        }
    };
    static_assert(sizeof(handler) == 6 * sizeof(void*) && sizeof(handler) <= 48);

    void next() {
        --left;
        loop.submit(kaio::read(file, buffer, 0), handler{this});
    }
    unsigned run(unsigned requests) {
        left = requests;
        done = 0;
        for (unsigned i = 0; i < capacity && left > 0; ++i) next();
        loop.run();
        return done;
    }
};

} // namespace

TEST_CASE("a million requests with handlers of 48 bytes allocate nothing after the first thousand") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    driver all;
    REQUIRE(all.run(warm_up) == warm_up);
    unsigned long const before = allocations_so_far();
    unsigned const done = all.run(total);
    unsigned long const after = allocations_so_far();
    CHECK(done == total);
    CHECK(after == before);
    CHECK(before > 0); // the counting works
}

TEST_CASE("operations that the caller owns allocate nothing from the first on, and larger handlers one each") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(4);
    test::temporary_file file(4096);
    std::array<char, 64> buffer{};
    unsigned done = 0;
    kaio::owned_operation op(
        [&, padding = std::array<char, 500>()](kaio::io_result) { done += padding.size() == 500; });
    unsigned long const before = allocations_so_far();
    for (int i = 0; i < 1'000; ++i) {
        loop.submit(kaio::read(file, buffer, 0), op);
        loop.run();
    }
    unsigned long const after = allocations_so_far();
    loop.submit(kaio::read(file, buffer, 0),
                [&, padding = std::array<char, 500>()](kaio::io_result) { done += padding.size() == 500; });
    unsigned long const one_more = allocations_so_far();
    loop.run();
    CHECK(after == before);
    CHECK(one_more == after + 1);
    CHECK(done == 1'001);
}

TEST_CASE("posting a function that the caller owns allocates nothing, and posting another one allocates once") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(4);
    unsigned called = 0;
    kaio::owned_post post([&, padding = std::array<char, 500>()] { called += padding.size() == 500; });
    unsigned long const before = allocations_so_far();
    for (int i = 0; i < 1'000; ++i) {
        loop.post(post);
        loop.run();
    }
    unsigned long const after = allocations_so_far();
    loop.post([&] { ++called; });
    unsigned long const one_more = allocations_so_far();
    loop.run();
    CHECK(after == before);
    CHECK(one_more == after + 1);
    CHECK(called == 1'001);
}

TEST_CASE("a request that is posted to another loop allocates nothing, there and back") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop home(2), other(2);
    test::temporary_file file(4096);
    std::array<char, 64> buffer{};
    unsigned done = 0;
    kaio::posted_operation operation([&](kaio::io_result r) { done += r.bytes() == 64; });
    auto const reading = [&](unsigned count) -> kaio::task<> {
        for (unsigned i = 0; i < count; ++i)
            done += (co_await other.post(kaio::read(file, buffer, 0), home)).bytes() == 64;
    };
    auto const run = [&] {
        while (other.poll() + home.poll() != 0 || other.in_flight() != 0) {
        }
    };
    unsigned long const before = allocations_so_far();
    for (int i = 0; i < 1'000; ++i) {
        other.post(kaio::read(file, buffer, 0), operation);
        run();
        other.post(kaio::read(file, buffer, 0), operation, home);
        run();
    }
    unsigned long const after = allocations_so_far();
    kaio::spawn(home, reading(1));
    run();
    unsigned long const one_request = allocations_so_far();
    kaio::spawn(home, reading(1'000));
    run();
    unsigned long const many_requests = allocations_so_far();
    CHECK(after == before);
    CHECK(many_requests - one_request == one_request - after); // the frames, and nothing for each request
    CHECK(done == 3'001);
}

TEST_CASE("coroutines allocate their frames and nothing per request, timer or whole transfer") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(capacity);
    test::temporary_file file(4096);
    auto const reader = [](kaio::loop& l, const test::temporary_file& f, unsigned requests) -> kaio::task<unsigned> {
        std::array<char, 64> buffer{};
        unsigned done = 0;
        for (unsigned i = 0; i < requests; ++i) {
            done += (co_await l.submit(kaio::read(f, buffer, 0))).bytes() == 64;
            if (i % 10 == 0) done -= (co_await l.submit(kaio::fully(kaio::read(f, buffer, 64)))).bytes() != 64;
            if (i % 100 == 0) co_await l.sleep_for(kaio::duration::zero());
        }
        co_return done;
    };
    unsigned long const before = allocations_so_far();
    unsigned const done = kaio::sync_wait(loop, reader(loop, file, 10'000));
    unsigned long const after = allocations_so_far();
    CHECK(done == 10'000);
    CHECK(after == before + 1);
}

TEST_CASE("offloading allocates nothing in a coroutine, and once with a handler") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::helpers helpers;
    kaio::loop loop(4, helpers);
    loop.offload([] {}, [](kaio::offload_result<void>) {}); // starts a thread
    loop.run();
    int sum = 0;
    unsigned long before = allocations_so_far();
    auto const work = [](kaio::loop& of, int& to) -> kaio::task<> {
        for (int i = 0; i < 1'000; ++i) to += co_await of.offload([&to] { return to % 2 + 1; });
    };
    kaio::sync_wait(loop, work(loop, sum));
    CHECK(allocations_so_far() <= before + 4); // frames
    CHECK(sum > 1'000);
    before = allocations_so_far();
    for (int i = 0; i < 100; ++i)
        loop.offload([] { return 1; }, [&](kaio::offload_result<int> r) { sum += r.value(); });
    loop.run();
    CHECK(allocations_so_far() == before + 100);
}

TEST_CASE("waiting for events, semaphores, mutexes, channels and completions allocates nothing") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(capacity);
    unsigned long const before_channels = allocations_so_far();
    kaio::channel<int> there(1), back(4);
    CHECK(allocations_so_far() == before_channels + 2);
    kaio::event event;
    kaio::semaphore semaphore(0);
    kaio::mutex mutex;
    unsigned waits = 0;
    auto const first = [&](int turns) -> kaio::task<> {
        for (int i = 0; i < turns; ++i) {
            kaio::completion<int> done;
            loop.submit(kaio::after(kaio::duration::zero()), [&](kaio::io_result) { done.complete(1); });
            waits += static_cast<unsigned>(co_await done);
            auto const held = co_await mutex.lock();
            semaphore.release();
            co_await event;
            event.reset();
            bool const sent = co_await there.send(i);
            std::optional<int> const answer = co_await back.receive();
            waits += sent && answer == i;
        }
        there.close();
    };
    auto const second = [&](int turns) -> kaio::task<> {
        for (int i = 0; i < turns; ++i) {
            co_await semaphore.acquire();
            event.set();
            std::optional<int> const asked = co_await there.receive();
            if (asked) waits += co_await back.send(*asked);
            auto const held = co_await mutex.lock();
        }
    };
    unsigned long const before = allocations_so_far();
    kaio::spawn(loop, first(1000));
    kaio::spawn(loop, second(1000));
    unsigned long const spawned = allocations_so_far();
    loop.run();
    unsigned long const after = allocations_so_far();
    CHECK(waits == 3000);
    CHECK(spawned == before + 4); // the frames
    CHECK(after == spawned);
}

TEST_CASE(
    "yielding, waiting for a buffer and time limits allocate nothing, and a group one frame for each of its tasks") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(capacity);
    kaio::waiting_pool pool(kaio::buffer_pool(1, 512));
    kaio::event never;
    unsigned had = 0;
    auto const user = [&]() -> kaio::task<> {
        for (int i = 0; i < 100; ++i) {
            kaio::waiting_pool::buffer const buffer = co_await pool.acquire();
            co_await kaio::yield(loop);
            bool const set = co_await kaio::with_timeout(loop, never, kaio::duration::zero());
            if (!set) ++had;
        }
    };
    auto const program = [&]() -> kaio::task<> {
        kaio::task_group group(loop, 2);
        for (int i = 0; i < 5; ++i) group.spawn(user());
        co_await group.wait();
    };
    unsigned long const before = allocations_so_far();
    kaio::sync_wait(loop, program());
    unsigned long const after = allocations_so_far();
    CHECK(had == 500);
    CHECK(after == before + 1 + 5 * 2);
}

TEST_CASE(
    "a request that owns its buffer and has a time limit allocates nothing, but for a buffer that is too large, and "
    "without memory for that it has ENOMEM and its buffer back") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(capacity);
    test::temporary_file file(4096);
    kaio::buffer_pool pool(4, 64);
    unsigned had = 0;
    auto const small = [&]() -> kaio::task<> {
        for (int i = 0; i < 100; ++i) {
            auto const read = co_await kaio::with_timeout(loop, loop.submit(kaio::read(file, pool.acquire(), 0)),
                                                          kaio::duration::from_ns(i % 2));
            had += read.in_flight() || read.result().bytes() == 64;
        }
    };
    unsigned long const before = allocations_so_far();
    kaio::sync_wait(loop, small());
    loop.run();
    unsigned long const after = allocations_so_far();
    CHECK(had == 100);
    CHECK(after == before + 1); // the frame
    auto const large = [&](unsigned long refused) -> kaio::task<> {
        failing = refused;
        auto const read = co_await kaio::with_timeout(loop, loop.submit(kaio::read(file, std::array<char, 64>{'a'}, 0)),
                                                      kaio::duration());
        failing = 0;
        CHECK(!read.in_flight());
        CHECK(read.result().res() == (refused != 0 ? -ENOMEM : 64));
        CHECK((read.buffer()[0] == 'a') == (refused != 0));
    };
    kaio::sync_wait(loop, large(0));
    kaio::sync_wait(loop, large(1));
    CHECK(loop.in_flight() + loop.queued() + loop.timers() == 0);
}

#if defined(__cpp_exceptions)
TEST_CASE("a coroutine that there is no memory for throws bad_alloc, and the loop goes on") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(capacity);
    test::temporary_file file(4096);
    std::array<std::array<char, 64>, 8> buffers{};
    unsigned done = 0;
    auto const read_into = [&](std::array<char, 64>& buffer) -> kaio::task<> {
        done += (co_await loop.submit(kaio::read(file, buffer, 0))).bytes() == 64;
    };
    auto const each = [&] { kaio::sync_wait(loop, kaio::for_each_concurrent(buffers, 4, read_into)); };
    auto const all = [&] {
        std::vector<kaio::task<>> tasks;
        for (auto& buffer : buffers) tasks.push_back(read_into(buffer));
        kaio::sync_wait(loop, kaio::when_all(std::move(tasks)));
    };
    auto const grouped = [&] {
        kaio::task_group group(loop, 3);
        for (auto& buffer : buffers) group.spawn(read_into(buffer));
        loop.run();
    };
    auto const detached = [&] {
        for (auto& buffer : buffers) kaio::spawn(loop, read_into(buffer));
        loop.run();
    };
    auto const fails_at_each = [&](auto const& work) {
        unsigned long refused = 0;
        for (bool whole = false; !whole; ++refused) {
            done = 0;
            bool thrown = false;
            failing = refused + 1;
            try {
                work();
            } catch (const std::bad_alloc&) {
                thrown = true;
            }
            whole = failing != 0; // never came to it
            failing = 0;
            loop.run(); // what was spawned before
            if (whole == thrown || whole != (done == buffers.size()) || loop.in_flight() != 0) return 0ul;
        }
        return refused;
    };
    CHECK(fails_at_each(each) > buffers.size());
    CHECK(fails_at_each(all) > buffers.size());
    CHECK(fails_at_each(detached) > buffers.size());
    CHECK(fails_at_each(grouped) > buffers.size());
}
#endif

TEST_CASE(
    "a buffer that is handed over allocates nothing where it fits beside its handler, and once where it does not") {
    driver d;
    d.run(warm_up);
    std::vector<char> buffer(64);
    unsigned done = 0;
    unsigned long const before = allocations_so_far();
    for (int i = 0; i < 1000; ++i) {
        d.loop.submit(kaio::read(d.file, std::move(buffer), 0), [&](kaio::io_result r, std::vector<char> returned) {
            done += r.bytes() == 64;
            buffer = std::move(returned);
        });
        d.loop.run();
    }
    CHECK((uncounted || allocations_so_far() - before == 0));
    d.loop.submit(kaio::fully(kaio::read(d.file, std::move(buffer), 0)),
                  [&, large = std::array<char, 48>{}](kaio::transfer_result r, std::vector<char>) {
                      done += r.bytes() + static_cast<std::size_t>(large[0]) == 64;
                  });
    CHECK((uncounted || allocations_so_far() - before == 1));
    d.loop.run();
    CHECK(done == 1001);
}

TEST_CASE("without memory for a function that is offloaded, nothing runs") {
    if (uncounted) SKIP_TEST("ThreadSanitizer has its own operator new");
    kaio::loop loop(4);
    failing = 1;
    auto const error = loop.try_offload([] { FAIL(); }, [](kaio::offload_result<void>) { FAIL(); }).error();
    failing = 0;
    CHECK(error == std::errc::not_enough_memory);
    CHECK(loop.run() == 0);
}

TEST_CASE("without memory for a large handler, the handler and a buffer that is handed over stay with the caller") {
    if (uncounted) return;
    struct large {
        std::vector<char> filling = std::vector<char>(100, 'x');
        std::array<char, 100> more{};
        void operator()(kaio::io_result, const std::vector<char>&) const {}
        void operator()(kaio::transfer_result) const {}
        void operator()(kaio::io_result) const {}
        void operator()() const {}
    };
    driver d;
    kaio::request_scope scope(d.loop);
    large handler;
    auto const keeps_both = [&](auto& through) {
        auto request = kaio::read(d.file, std::vector<char>(64), 0);
        failing = 1;
        CHECK(through.try_submit(std::move(request), std::move(handler)).error().value() == ENOMEM);
        CHECK(request.buffer().size() == 64);
        CHECK(handler.filling.size() == 100);
        failing = 1;
        CHECK(through.try_submit(kaio::fully(kaio::read(d.file, d.buffer, 0)), std::move(handler)).error().value() ==
              ENOMEM);
        failing = 1;
        CHECK(through.try_submit(kaio::after(kaio::duration::zero()), std::move(handler)).error().value() == ENOMEM);
        failing = 0;
        CHECK(handler.filling.size() == 100);
    };
    keeps_both(d.loop);
    keeps_both(scope);
    failing = 1;
    CHECK(scope.try_on_closed(std::move(handler)).error().value() == ENOMEM);
    failing = 0;
    CHECK(handler.filling.size() == 100);
    CHECK(scope.pending() == 0);
    CHECK(d.loop.timers() == 0);
    CHECK(d.loop.in_flight() + d.loop.queued() == 0);
}
