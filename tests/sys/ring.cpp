#include "support/catch.hpp"
#include "support/rounds.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/sys/kernel.hpp>
#include <kaio/sys/ring.hpp>

namespace {

// A ring in ordinary memory. The test plays the kernel.
struct made_ring {
    static constexpr unsigned slots = 7; // like the kernel's, not a power of two
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

// Tells take() that at most `count` events can be in the ring.
auto exactly(unsigned count) {
    return [count] { return count; };
}

} // namespace

TEST_CASE("take returns events in order, over every wrap-around, and frees their slots before it returns") {
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
            // The kernel sees that head has advanced by exactly the number of copied events.
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
    SECTION("no magic number, as in gVisor's zeroed page") { made.memory.head.magic = 0; }
    SECTION("unknown features") { made.memory.head.incompat_features = 1; }
    SECTION("another header") { made.memory.head.header_length = 64; }
    SECTION("one slot") { made.memory.head.nr = 1; }
    CHECK(!made.open().trusted());
    CHECK(!kaio::completion_ring().trusted());
}

TEST_CASE("a ring that makes no sense later is not trusted from then on, and take returns 0") {
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

TEST_CASE("a ring stays trusted if another thread announces and submits a request while events are taken") {
    made_ring made;
    kaio::completion_ring ring = made.open();
    kaio::io_event out[8];
    unsigned announced = 1;
    made.complete(1);
    auto const meanwhile = [&] { // runs between reading tail and reading the count
        unsigned const count = announced++;
        made.complete(1);
        return count;
    };
    CHECK(ring.take(out, 8, meanwhile) == 1);
    CHECK(ring.trusted());
    CHECK(ring.take(out, 8, exactly(1)) == 1);
}

TEST_CASE("writes of other code to the shared number of slots change nothing") {
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

// ThreadSanitizer checks the memory order that the kernel's barriers give: it reports a race.
TEST_CASE("when another thread fills the ring, events are taken whole, and their slots are free only afterwards") {
    constexpr std::uint64_t total = test::rounds(20'000);
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

TEST_CASE("the real ring works through many wrap-arounds, mixed with io_getevents from the same thread") {
    // Never more requests than were asked for: whenever the thread changes processors, some other slots are
    // unavailable.
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
    for (int round = 0; round < static_cast<int>(test::rounds(2000)); ++round) {
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
