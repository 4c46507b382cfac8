// A ring that looks right when the context is made, but makes no sense later. From then on events are taken by
// io_getevents, and every result is the same. loop/submitting.cpp has rings that look wrong from the start.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <functional>
#include <vector>

#include <kaio/kaio.hpp>

namespace {

struct damage {
    std::function<void(kaio::aio_ring&)> spoil;
    unsigned at_submit; // the io_submit after which the ring is spoilt, counted from 1
    kaio::aio_ring* ring = nullptr;
    kaio::aio_ring before{};
    unsigned submits = 0, waits = 0;
    bool spoilt = false;
};

// Linux, but the ring that user space sees is spoilt after one of the submissions. The kernel's own calls see the ring
// as it was, so that the test does not mislead them.
struct damaging_kernel : kaio::linux_kernel {
    explicit damaging_kernel(damage& d) noexcept : damage_(&d) {}

    int io_setup(unsigned events, kaio::aio_context_id* id) const noexcept {
        int const result = linux_kernel::io_setup(events, id);
        if (result == 0) damage_->ring = reinterpret_cast<kaio::aio_ring*>(*id);
        return result;
    }
    long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
        if (damage_->spoilt) *damage_->ring = damage_->before;
        long const result = linux_kernel::io_submit(id, count, batch);
        if (++damage_->submits >= damage_->at_submit) {
            damage_->before = *damage_->ring;
            damage_->spoil(*damage_->ring);
            damage_->spoilt = true;
        }
        return result;
    }
    long io_getevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                      const kaio::kernel_timespec* timeout) const noexcept {
        ++damage_->waits;
        if (std::exchange(damage_->spoilt, false)) *damage_->ring = damage_->before;
        return linux_kernel::io_getevents(id, min, max, events, timeout);
    }

    damage* damage_;
};
static_assert(kaio::kernel<damaging_kernel>);

using spoiler = void (*)(kaio::aio_ring&);
constexpr spoiler spoilers[] = {
    [](kaio::aio_ring& ring) { ring.head += ring.nr; },
    [](kaio::aio_ring& ring) { ring.head = ~0u; },
    [](kaio::aio_ring& ring) { ring.tail += ring.nr; },
    [](kaio::aio_ring& ring) { ring.tail = ~0u; },
    [](kaio::aio_ring& ring) { ring.tail = (ring.tail + 1) % ring.nr; },           // an event without a request
    [](kaio::aio_ring& ring) { ring.head = (ring.head + ring.nr - 1) % ring.nr; }, // an old event again, as on RHEL 7
};

} // namespace

TEST_CASE("if a ring is spoilt after any submission, a loop has the same results, each once, by io_getevents") {
    auto const spoil = spoilers[GENERATE(range(0u, 6u))];
    unsigned const at_submit = GENERATE(range(1u, 6u));
    test::temporary_file file(64 << 10);
    damage d{spoil, at_submit};
    std::array<std::array<unsigned char, 100>, 64> buffers;
    std::vector<int> times(64);
    kaio::basic_loop<damaging_kernel> loop(8, {.setup = {.events = kaio::reaping::ring}}, damaging_kernel(d));
    REQUIRE(loop.uses_ring());
    for (std::size_t i = 0; i < 64; ++i)
        loop.submit(kaio::read(i % 5 == 0 ? -1 : file.fd(), buffers[i], static_cast<std::int64_t>(i * 1000)),
                    [&, i](kaio::io_result r) {
                        bool const right =
                            i % 5 == 0
                                ? r.res() == -EBADF
                                : r.bytes() == 100 && buffers[i][99] == test::temporary_file::content(i * 1000 + 99);
                        times[i] += right ? 1 : 100;
                    });
    CHECK(loop.run() == 64);
    CHECK(times == std::vector<int>(64, 1));
    CHECK(loop.in_flight() + loop.queued() == 0);
    CHECK(!loop.uses_ring());
    CHECK(d.waits > 0);
}

TEST_CASE("if a ring is spoilt, a context has the same results, and refused requests account for no event") {
    auto const spoil = spoilers[GENERATE(range(0u, 6u))];
    test::temporary_file file(4096);
    damage d{spoil, 3};
    kaio::basic_context<damaging_kernel> context(8, {.events = kaio::reaping::ring}, damaging_kernel(d));
    std::array<unsigned char, 100> buffer;
    kaio::iocb refused = kaio::read(-1, buffer, 0);
    kaio::iocb* none[] = {&refused};
    REQUIRE(!context.submit(none));
    for (std::uint64_t i = 1; i <= 20; ++i) {
        kaio::iocb block = kaio::read(file.fd(), buffer, 0);
        block.aio_data = i;
        kaio::iocb* batch[] = {&block};
        REQUIRE(context.submit(batch));
        kaio::io_event events[8];
        unsigned const got = i % 2 == 0 ? context.reap(events) : *context.wait(events);
        REQUIRE(got == 1);
        REQUIRE(events[0].data == i);
        REQUIRE(events[0].res == 100);
        REQUIRE(context.in_flight() == 0);
        REQUIRE(context.uses_ring() == (i < 2));
    }
}
