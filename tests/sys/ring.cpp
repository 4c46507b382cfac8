#include "support/catch.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/sys/kernel.hpp>
#include <kaio/sys/ring.hpp>

namespace {

// A ring in ordinary memory, with this test as the kernel.
struct made_ring {
    static constexpr unsigned slots = 7; // not a power of two, as the kernel's
    struct alignas(64) {
        kaio::aio_ring head{0, slots, 0, 0, kaio::aio_ring_magic, 1, 0, sizeof(kaio::aio_ring)};
        kaio::io_event events[slots]{};
    } memory;
    std::uint64_t next = 0;

    kaio::completion_ring open() { return kaio::completion_ring(reinterpret_cast<kaio::aio_context_id>(&memory)); }
    void complete(unsigned count) {
        for (; count > 0; --count) {
            memory.events[memory.head.tail] = {next++, 0, 0, 0};
            memory.head.tail = (memory.head.tail + 1) % slots;
        }
    }
};

// The most events that can be in the ring, for take.
auto exactly(unsigned count) {
    return [count] { return count; };
}

} // namespace

TEST_CASE("events come out in order, over every wrap-around, and their slots are free before take returns") {
    made_ring made;
    kaio::completion_ring ring = made.open();
    REQUIRE(ring.trusted());
    CHECK(ring.mapped_size() == 32 + 7 * 32);
    std::uint64_t expected = 0;
    kaio::io_event out[8];
    for (int round = 0; round < 1000; ++round) {
        unsigned const count = static_cast<unsigned>(round) % 7, max = 1 + static_cast<unsigned>(round / 7) % 8;
        made.complete(count);
        CHECK(ring.has_events() == (count != 0));
        unsigned left = count;
        while (left > 0) {
            REQUIRE(ring.available() == left);
            unsigned const taken = ring.take(out, max, exactly(left));
            REQUIRE(taken == std::min(left, max));
            for (unsigned i = 0; i < taken; ++i) REQUIRE(out[i].data == expected++);
            left -= taken;
            // What the kernel sees: head has moved on by what was copied, no more and no less.
            REQUIRE((made.memory.head.head + left) % made_ring::slots == made.memory.head.tail);
        }
        REQUIRE(ring.take(out, max, exactly(0)) == 0);
        REQUIRE(ring.trusted());
    }
    CHECK(made.memory.head.id == 0);
    CHECK(made.memory.head.nr == made_ring::slots);
}

TEST_CASE("a ring that does not look as Linux makes it is never trusted") {
    made_ring made;
    SECTION("no magic, as gVisor's zeroed page") { made.memory.head.magic = 0; }
    SECTION("features that are not known") { made.memory.head.incompat_features = 1; }
    SECTION("another header") { made.memory.head.header_length = 64; }
    SECTION("one slot") { made.memory.head.nr = 1; }
    CHECK(!made.open().trusted());
    CHECK(!kaio::completion_ring().trusted());
}

TEST_CASE("a ring that makes no sense later is not trusted from then on, and gives nothing") {
    made_ring made;
    kaio::completion_ring ring = made.open();
    kaio::io_event out[8];
    made.complete(3);
    unsigned in_flight = 3;
    SECTION("head out of range") { made.memory.head.head = made_ring::slots; }
    SECTION("tail out of range") { made.memory.head.tail = 1000; }
    SECTION("more events than requests in flight") { in_flight = 2; }
    CHECK(ring.has_events());
    CHECK(ring.take(out, 8, exactly(in_flight)) == 0);
    CHECK(!ring.trusted());
}

TEST_CASE("a request that another thread announces and submits while events are taken does not make the ring distrusted") {
    made_ring made;
    kaio::completion_ring ring = made.open();
    kaio::io_event out[8];
    unsigned announced = 1;
    made.complete(1);
    auto const meanwhile = [&] { // between the reading of tail and of the count, in whichever order take reads them
        unsigned const count = announced++;
        made.complete(1);
        return count;
    };
    CHECK(ring.take(out, 8, meanwhile) == 1);
    CHECK(ring.trusted());
    CHECK(ring.take(out, 8, exactly(1)) == 1);
}

TEST_CASE("what others write to the shared number of slots changes nothing") {
    made_ring made;
    kaio::completion_ring ring = made.open();
    made.memory.head.nr = 1'000'000;
    kaio::io_event out[8];
    for (std::uint64_t i = 0; i < 99; i += 3) {
        made.complete(3);
        REQUIRE(ring.take(out, 8, exactly(3)) == 3);
        for (std::uint64_t j = 0; j < 3; ++j) REQUIRE(out[j].data == i + j);
    }
}

// What the kernel's barriers are to the processor, ThreadSanitizer checks: a race would be reported.
TEST_CASE("another thread fills the ring: every event is whole when it is taken, and its slot free only afterwards") {
    constexpr std::uint64_t total = 20'000;
    made_ring made;
    kaio::completion_ring ring = made.open();
    std::thread kernel([&made] {
        for (std::uint64_t sent = 0; sent < total;) {
            kaio::aio_ring& ring = made.memory.head;
            unsigned const next = (ring.tail + 1) % made_ring::slots;
            if (next == __atomic_load_n(&ring.head, __ATOMIC_ACQUIRE)) {
                std::this_thread::yield();
                continue;
            }
            made.memory.events[ring.tail] = {sent, ~sent, static_cast<std::int64_t>(sent), 0};
            __atomic_store_n(&ring.tail, next, __ATOMIC_RELEASE);
            ++sent;
        }
    });
    bool whole = true;
    kaio::io_event out[4];
    for (std::uint64_t got = 0; got < total;) {
        unsigned const taken = ring.take(out, 4, exactly(made_ring::slots));
        if (taken == 0) std::this_thread::yield();
        for (unsigned i = 0; i < taken; ++i, ++got)
            whole = whole && out[i].data == got && out[i].obj == ~got && out[i].res == static_cast<std::int64_t>(got);
    }
    kernel.join();
    CHECK(whole);
    CHECK(ring.trusted());
}

TEST_CASE("the real ring, through many wrap-arounds, mixed with io_getevents from the same thread") {
    // No more than was asked for: with every change of the processor, some of the other slots are not to be had.
    constexpr unsigned depth = 32;
    kaio::aio_context_id id = 0;
    REQUIRE(kaio::linux_kernel::io_setup(depth, &id) == 0);
    kaio::completion_ring ring(id);
    REQUIRE(ring.trusted());
    int const fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    char byte;
    std::vector<kaio::iocb> blocks(depth, kaio::iocb{});
    std::vector<kaio::iocb*> batch;
    for (auto& block : blocks) {
        block.aio_fildes = static_cast<std::uint32_t>(fd);
        block.aio_buf = reinterpret_cast<std::uintptr_t>(&byte);
        block.aio_nbytes = 1;
        batch.push_back(&block);
    }
    std::uint64_t sent = 0, got = 0;
    kaio::io_event out[64];
    for (int round = 0; round < 2000; ++round) {
        long const count = 1 + round * 7 % static_cast<int>(depth);
        for (long i = 0; i < count; ++i) blocks[static_cast<std::size_t>(i)].aio_data = sent++;
        REQUIRE(kaio::linux_kernel::io_submit(id, count, batch.data()) == count);
        while (got < sent) {
            bool const by_call = (got + static_cast<std::uint64_t>(round)) % 3 == 0;
            unsigned const in_flight = static_cast<unsigned>(sent - got);
            long const taken = by_call ? kaio::linux_kernel::io_getevents(id, 1, 5, out, nullptr)
                                       : static_cast<long>(ring.take(out, 64, exactly(in_flight)));
            REQUIRE(taken > 0);
            for (long i = 0; i < taken; ++i) REQUIRE((out[i].data == got++ && out[i].res == 1));
        }
    }
    CHECK(ring.trusted());
    CHECK(kaio::linux_kernel::io_destroy(id) == 0);
    ::close(fd);
}
