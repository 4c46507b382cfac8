#include <kaio/sim/kernel.hpp>

#include <array>
#include <cerrno>
#include <cstdint>

#include <poll.h>

#include <kaio/sys/ring.hpp>

#include "support/catch.hpp"
#include "worlds.hpp"

using test::bytes;

TEST_CASE("time passes in the kernel's calls, of which look() says that a ring is read, and nowhere else") {
    kaio::sim::world world(3, {.least_latency = 10'000, .most_latency = 10'000});
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    kaio::sim::kernel kernel(world);
    kaio::aio_context_id id = 0;
    REQUIRE(kernel.io_setup(4, &id) == 0);
    kaio::completion_ring ring(id);
    REQUIRE(ring.trusted());
    kaio::iocb blocks[4];
    kaio::iocb* batch[4];
    for (std::size_t i = 0; i < 4; ++i) {
        blocks[i] = kaio::write(file, buffer, 0);
        batch[i] = &blocks[i];
    }
    REQUIRE(kernel.io_submit(id, 4, batch) == 4); // some complete at once
    std::int64_t const submitted = world.now();
    unsigned const at_once = ring.available();
    REQUIRE(at_once < 4);
    for (int i = 0; i < 1000; ++i) REQUIRE(ring.available() == at_once); // reading memory is no call
    CHECK(world.now() == submitted);

    kernel.look();
    CHECK(world.now() > submitted);
    while (ring.available() != 4 && world.now() < submitted + 1'000'000) kernel.look();
    CHECK(ring.available() == 4);

    std::int64_t const before = world.now();
    kernel.relax();
    CHECK(world.now() > before);
    CHECK(kernel.io_destroy(id) == 0);
}

TEST_CASE("the room in a context is what was asked for, and events that were not taken keep theirs") {
    kaio::sim::world world(4);
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    test::simulated_context context(2, {.events = kaio::reaping::ring}, world);
    kaio::iocb blocks[3];
    for (auto& block : blocks) block = kaio::write(file, buffer, 0);
    kaio::iocb* batch[] = {blocks, blocks + 1, blocks + 2};
    auto const answer = context.submit(batch);
    CHECK(answer.accepted() == 2);
    CHECK(answer.ring_full());
    while (context.completions() < 2) {
    }
    CHECK(context.submit({batch + 2, 1}).ring_full());
    std::array<kaio::io_event, 1> event;
    CHECK(context.reap(event) == 1);
    CHECK(context.submit({batch + 2, 1}));
}

TEST_CASE("io_getevents waits in virtual time, up to its limit, and gives EDEADLK where no event can come") {
    kaio::sim::world world(4);
    kaio::sim::event const event = world.make_event();
    kaio::sim::kernel kernel(world);
    kaio::aio_context_id id = 0;
    REQUIRE(kernel.io_setup(1, &id) == 0);
    kaio::iocb block = kaio::poll(event, POLLIN);
    kaio::iocb* batch[] = {&block};
    REQUIRE(kernel.io_submit(id, 1, batch) == 1);
    kaio::io_event got{};
    kaio::kernel_timespec const hour{3600, 0};
    std::int64_t const before = world.now();
    CHECK(kernel.io_getevents(id, 1, 1, &got, &hour) == 0);
    CHECK(world.now() - before >= 3'600'000'000'000);
    CHECK(kernel.io_getevents(id, 1, 1, &got, nullptr) == -EDEADLK);
    event.set();
    CHECK(kernel.io_getevents(id, 1, 1, &got, nullptr) == 1);
    CHECK(got.request() == &block);
    CHECK(kernel.io_destroy(id) == 0);
    CHECK(kernel.io_destroy(id) == -EINVAL);
}

TEST_CASE("io_destroy waits for what is in flight") {
    kaio::sim::world world(5, {.least_latency = 1'000'000, .most_latency = 1'000'000});
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    kaio::sim::kernel kernel(world);
    kaio::aio_context_id id = 0;
    REQUIRE(kernel.io_setup(16, &id) == 0);
    kaio::iocb blocks[16];
    kaio::iocb* batch[16];
    for (std::size_t i = 0; i < 16; ++i) {
        blocks[i] = kaio::write(file, buffer, static_cast<std::int64_t>(64 * i));
        batch[i] = &blocks[i];
    }
    REQUIRE(kernel.io_submit(id, 16, batch) == 16); // some complete at once
    std::int64_t const before = world.now();
    CHECK(kernel.io_destroy(id) == 0);
    CHECK(world.now() - before > 900'000);
    CHECK(file.content() == bytes(16 * 64, 'x'));
}
