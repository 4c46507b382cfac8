#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <set>
#include <vector>

#include <poll.h>

#include "worlds.hpp"

using namespace std::chrono_literals;
using loop_type = test::simulated_loop;
using context_type = test::simulated_context;
using test::ask;
using test::bytes;

namespace {

// A mixed run; what happened, and when, as numbers.
std::vector<std::int64_t> history(std::uint64_t seed, kaio::reaping events) {
    kaio::sim::world world(seed, {.short_transfers = 0.1, .io_errors = 0.1, .no_room = 0.1, .interrupts = 0.1});
    auto const file = world.open("file");
    std::vector<std::int64_t> happened;
    std::vector<std::vector<std::byte>> buffers(20, bytes(4096, 'x'));
    loop_type loop(8, {.setup = {.events = events}}, world);
    for (int round = 0; round < 10; ++round) {
        for (auto& buffer : buffers) {
            auto const offset = static_cast<std::int64_t>(world.random().below(100'000));
            auto const number = static_cast<std::int64_t>(&buffer - buffers.data());
            loop.submit(
                world.random().below(2) ? kaio::read(file, buffer, offset) : kaio::write(file, buffer, offset),
                [&, number](kaio::io_result r) { happened.insert(happened.end(), {number, r.res(), world.now()}); });
        }
        loop.run();
    }
    world.crash();
    happened.push_back(static_cast<std::int64_t>(file.size()));
    for (std::byte const b : file.content()) happened.push_back(static_cast<std::int64_t>(b));
    return happened;
}

} // namespace

TEST_CASE("a loop on a simulated world reads what it wrote, in virtual time") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::sim::world world(1);
    auto const file = world.open("file");
    loop_type loop(4, {.setup = {.events = events}}, world);
    CHECK(loop.uses_ring() == (events == kaio::reaping::ring));
    auto written = bytes(10'000, 'w'), got = bytes(10'000, '?');
    std::int64_t const start = world.now();
    CHECK(ask(loop, kaio::write(file, written, 5)).bytes() == 10'000);
    CHECK(ask(loop, kaio::read(file, got, 5)).bytes() == 10'000);
    CHECK(got == written);
    CHECK(ask(loop, kaio::read(file, got, 10'000)).bytes() == 5);
    CHECK(ask(loop, kaio::read(file, got, 10'005)).res() == 0);
    CHECK(ask(loop, kaio::fsync(file)).res() == 0);
    CHECK(world.now() - start < 5 * 201'000 + 100'000);

    std::int64_t const before = world.now();
    auto const clock = std::chrono::steady_clock::now();
    CHECK(loop.run_for(1h) == 0); // nothing is in flight: it does not wait
    kaio::sim::event const silent = world.make_event();
    loop.submit(kaio::poll(silent, POLLIN), [](kaio::io_result) {});
    CHECK(loop.run_for(1h) == 0);
    CHECK(world.now() - before >= 3'600'000'000'000);
    CHECK(std::chrono::steady_clock::now() - clock < 60s);
    CHECK(world.open("file").fd() == file.fd());
    CHECK(world.open("other").fd() != file.fd());
}

TEST_CASE("readv, writev and append") {
    kaio::sim::world world(2);
    auto const file = world.open("file");
    loop_type loop(4, {}, world);
    auto a = bytes(3, 'a'), b = bytes(5, 'b'), c = bytes(6, '?'), d = bytes(2, '?');
    std::array<iovec, 2> out{iovec{a.data(), 3}, iovec{b.data(), 5}}, in{iovec{c.data(), 6}, iovec{d.data(), 2}};
    CHECK(ask(loop, kaio::writev(file, out, 0)).bytes() == 8);
    CHECK(ask(loop, kaio::readv(file, in, 0)).bytes() == 8);
    CHECK(std::memcmp(c.data(), "aaabbb", 6) == 0);
    CHECK(std::memcmp(d.data(), "bb", 2) == 0);
    CHECK(ask(loop, kaio::write(file, a, 100).flags(kaio::rw_flags::append)).bytes() == 3);
    CHECK(file.size() == 11);
}

TEST_CASE("the same seed gives the same run, event for event, and another seed another") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    auto const first = history(7, events);
    CHECK(first.size() > 600);
    CHECK(history(7, events) == first);
    CHECK(history(8, events) != first);
}

TEST_CASE("requests complete in many orders, and sometimes inside io_submit") {
    std::set<std::vector<int>> orders;
    unsigned at_once = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        kaio::sim::world world(seed);
        auto const file = world.open("file");
        auto buffer = bytes(64, 'x');
        context_type context(3, {.events = kaio::reaping::ring}, world);
        kaio::iocb blocks[3];
        for (int i = 0; i < 3; ++i) {
            blocks[i] = kaio::write(file, buffer, 0);
            blocks[i].aio_data = static_cast<std::uint64_t>(i);
        }
        kaio::iocb* batch[] = {blocks, blocks + 1, blocks + 2};
        REQUIRE(context.submit(batch));
        at_once += context.completions();
        std::vector<int> order;
        std::array<kaio::io_event, 3> events;
        while (context.in_flight() != 0)
            for (unsigned n = *context.wait(events), i = 0; i < n; ++i)
                order.push_back(static_cast<int>(events[i].data));
        orders.insert(order);
    }
    CHECK(orders.size() == 6);
    CHECK(at_once > 10);
    CHECK(at_once < 100);
}

TEST_CASE("a program that only looks, and never waits, gets its completions too") {
    kaio::sim::world world(3);
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    loop_type loop(4, {}, world);
    int done = 0;
    loop.submit(kaio::write(file, buffer, 0), [&](kaio::io_result) { ++done; });
    for (int i = 0; i < 100'000 && done == 0; ++i) loop.poll();
    CHECK(done == 1);
}

TEST_CASE("a wait that nothing can end is an error, not a hang") {
    kaio::sim::world world(5);
    kaio::sim::event const silent = world.make_event();
    loop_type loop(4, {.spin_limit = kaio::duration::zero()}, world);
    loop.submit(kaio::poll(silent, POLLIN), [](kaio::io_result) {});
    auto const answer = loop.try_run();
    REQUIRE(!answer);
    CHECK(answer.error().value() == EDEADLK);
}

TEST_CASE("polls complete when their event is set, at once where it is, and by io_cancel") {
    kaio::sim::world world(6);
    kaio::sim::event const event = world.make_event();
    auto const file = world.open("file");
    loop_type loop(4, {}, world);
    CHECK(ask(loop, kaio::poll(file, POLLIN | POLLPRI)).poll_events() == POLLIN);
    CHECK(ask(loop, kaio::poll(event, POLLOUT)).poll_events() == POLLOUT);
    int mask = 0;
    loop.submit(kaio::poll(event, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
    CHECK(loop.run_for(1s) == 0);
    event.set();
    event.clear();
    CHECK(loop.run_for(1s) == 0); // it was not ready any more when the kernel looked
    event.set();
    CHECK(loop.run() == 1);
    CHECK(mask == POLLIN);

    event.clear();
    auto buffer = bytes(64, 'x');
    CHECK(ask(loop, kaio::write(file, buffer, 0).notify(event.fd())).bytes() == 64);
    CHECK(event.ready());

    event.clear();
    std::int64_t res = -1;
    {
        loop_type short_lived(4, {}, world);
        short_lived.submit(kaio::poll(event, POLLIN), [&](kaio::io_result r) { res = r.res(); });
        short_lived.flush();
    } // its destructor cancels
    CHECK(res == -ECANCELED);

    context_type raw(4, {}, world);
    kaio::iocb block = kaio::poll(event, POLLIN);
    kaio::iocb* batch[] = {&block};
    CHECK(raw.submit(batch));
    CHECK(raw.cancel(block));
    CHECK(raw.cancel(block).error().value() == EINVAL);
    CHECK(raw.submit(batch)); // in flight when the context goes
}

TEST_CASE("a program truncates a simulated file as a real one, with faults, and power loss may undo it") {
    bool undone = false, done = false;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        kaio::sim::world world(seed);
        auto const file = world.open("file");
        file.put(0, bytes(1000, 'x'));
        file.truncate(file.size() - 900);
        CHECK(file.content() == bytes(100, 'x'));
        loop_type loop(4, {}, world);
        if (seed % 2) {
            CHECK(ask(loop, kaio::fdatasync(file)));
        }
        world.crash();
        if (seed % 2) {
            CHECK(file.size() == 100);
        }
        undone = undone || file.size() == 1000;
        done = done || (seed % 2 == 0 && file.size() == 100);
    }
    CHECK((done && undone));

    kaio::sim::world world(1, {.disk_size = 1000});
    auto const file = world.open("file"), other = world.open("other");
    other.put(0, bytes(600, 'x'));
    CHECK(file.try_truncate(400));
    CHECK(file.try_truncate(401).error().value() == ENOSPC);
    CHECK(file.try_truncate(-1).error().value() == EINVAL);
    world.options().io_errors = 1;
    CHECK(file.try_truncate(1).error().value() == EIO);
    CHECK(file.size() == 400);
    CHECK_THROWS_WITH(file.truncate(1), test::StartsWith("kaio: sim::file::truncate"));
}

TEST_CASE(
    "after a crash what was in flight has failed, the old loop is of no use, and a new one sees what was synced") {
    bool partly = false;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        kaio::sim::world world(seed);
        auto const file = world.open("file");
        auto a = bytes(1024, 'a'), b = bytes(1024, 'b');
        int failed = 0, left = 0;
        {
            loop_type loop(16, {}, world);
            REQUIRE(ask(loop, kaio::write(file, a, 0)).bytes() == 1024);
            REQUIRE(ask(loop, kaio::fdatasync(file)));
            REQUIRE(ask(loop, kaio::write(file, a, 1024).flags(kaio::rw_flags::dsync)).bytes() == 1024);
            for (int i = 0; i < 10; ++i)
                loop.submit(kaio::write(file, b, 0), [&](kaio::io_result r) { failed += r.res() == -EIO; });
            if (seed % 2 == 0) {
                loop.flush();
                world.crash();
            } else {
                world.crash_at(world.now() + 5000);
            }
            loop.run();
            CHECK(world.crashes() == 1);
            CHECK(failed > 0);
            REQUIRE(ask(loop, kaio::write(file, b, 0)).res() == -EIO);
            loop.submit(kaio::write(file, b, 1024), [&](kaio::io_result r) { left += r.error().value() == ECANCELED; });
        }
        CHECK(left == 1);
        REQUIRE(file.size() == 2048);
        loop_type loop(16, {}, world);
        auto got = bytes(2048, '?');
        REQUIRE(ask(loop, kaio::read(file, got, 0)).bytes() == 2048);
        for (std::size_t sector = 0; sector < 4; ++sector)
            for (std::size_t i = sector * 512; i < sector * 512 + 512; ++i) REQUIRE(got[i] == got[sector * 512]);
        REQUIRE(got[1024] == std::byte('a'));
        REQUIRE(got[1536] == std::byte('a'));
        partly = partly || got[0] != got[512];
    }
    CHECK(partly);
}

TEST_CASE("a context is destroyed with requests in flight, and two loops share a world") {
    kaio::sim::world world(12);
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    int done = 0;
    loop_type one(4, {}, world);
    one.submit(kaio::write(file, buffer, 0), [&](kaio::io_result r) { done += r.bytes() == 64; });
    one.flush();
    {
        context_type context(4, {}, world);
        kaio::iocb block = kaio::write(file, buffer, 64);
        kaio::iocb* batch[] = {&block};
        CHECK(context.submit(batch));
        loop_type two(4, {}, world);
        two.submit(kaio::write(file, buffer, 128), [&](kaio::io_result r) { done += r.bytes() == 64; });
        two.flush();
    }
    CHECK(file.size() == 192); // waited for
    one.run();
    CHECK(done == 2);
}

TEST_CASE("a request that had no room goes on its way, although what is in flight never completes") {
    kaio::sim::world world(1);
    auto const silent = world.open("silent"), other = world.open("other");
    auto buffer = bytes(512, 'x'), more = bytes(512, 'y');
    loop_type loop(8, {}, world);
    bool written = false;
    world.suspend(silent);
    loop.submit(kaio::write(silent, buffer, 0), [](kaio::io_result) {});
    loop.flush();
    world.options().no_room = 1;
    loop.submit(kaio::write(other, more, 0), [&](kaio::io_result r) { written = r.bytes() == 512; });
    loop.flush();
    CHECK(loop.queued() == 1);
    world.options().no_room = 0;
    loop.submit(kaio::after(1ms), [](kaio::io_result) {});
    loop.run_for(1s); // the timer wakes it
    CHECK(written);
    world.resume(silent);
    loop.run();
}

TEST_CASE("requests of a suspended file are held until it is resumed, and those of other files are not") {
    kaio::sim::world world(1);
    auto const file = world.open("file"), other = world.open("other");
    loop_type loop(8, {}, world);
    auto buffer = bytes(512, 'x'), mine = bytes(512, 'y');
    std::vector<int> completed;
    loop.submit(kaio::write(file, buffer, 0),
                [&](kaio::io_result r) { completed.push_back(r.bytes() == 512 ? 1 : -1); });
    loop.flush();
    world.suspend(file); // with a request in flight
    loop.submit(kaio::fdatasync(file), [&](kaio::io_result r) { completed.push_back(r ? 2 : -1); });
    loop.submit(kaio::write(other, mine, 0),
                [&](kaio::io_result r) { completed.push_back(r.bytes() == 512 ? 3 : -1); });
    loop.submit(kaio::poll(file.fd(), POLLIN), [&](kaio::io_result r) { completed.push_back(r ? 4 : -1); });
    loop.run_for(1h);
    CHECK(std::multiset<int>(completed.begin(), completed.end()) == std::multiset<int>{3, 4});
    CHECK(loop.in_flight() == 2);
    CHECK(loop.try_run_one().error().value() == EDEADLK); // nothing else can happen
    CHECK(file.size() == 0);
    world.resume(file);
    loop.run();
    CHECK(std::multiset<int>(completed.begin(), completed.end()) == std::multiset<int>{1, 2, 3, 4});
    CHECK(file.content() == buffer);
    CHECK(ask(loop, kaio::read(file, mine, 0)).bytes() == 512);
}

TEST_CASE("one disk loses power: its requests fail, its unsynced writes may be lost, and nothing else is touched") {
    bool lost = false, kept = false;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        kaio::sim::world world(seed);
        auto const file = world.open("file"), other = world.open("other");
        loop_type loop(8, {}, world);
        auto synced = bytes(512, 's'), unsynced = bytes(512, 'u');
        CHECK(ask(loop, kaio::write(file, synced, 0).flags(kaio::rw_flags::dsync)).bytes() == 512);
        CHECK(ask(loop, kaio::write(file, unsynced, 512)).bytes() == 512);
        CHECK(ask(loop, kaio::write(other, unsynced, 0)).bytes() == 512);
        if (seed % 2 == 0) world.suspend(file); // what is held fails, too
        int failed = 0, well = 0;
        loop.submit(kaio::write(file, unsynced, 1024), [&](kaio::io_result r) { failed += r.error().value() == EIO; });
        loop.submit(kaio::write(other, unsynced, 512), [&](kaio::io_result r) { well += r.bytes() == 512; });
        loop.flush();
        if (seed % 2 == 0) loop.run_for(1ms);
        bool const was_in_flight = loop.in_flight() == (seed % 2 == 0 ? 1 : 2);
        world.crash(file);
        world.resume(file);
        loop.run();
        if (was_in_flight) CHECK(failed == 1);
        CHECK(well == 1);
        CHECK(other.content() == bytes(1024, 'u'));
        auto const left = file.content();
        REQUIRE(left.size() >= 512);
        CHECK(std::equal(synced.begin(), synced.end(), left.begin()));
        bool const there = left.size() >= 1024 && std::equal(unsynced.begin(), unsynced.end(), left.begin() + 512);
        (there ? kept : lost) = true;
        CHECK(ask(loop, kaio::write(file, synced, 0)).bytes() == 512); // its power is back
        CHECK(world.crashes() == 0);
    }
    CHECK(lost);
    CHECK(kept);
}
