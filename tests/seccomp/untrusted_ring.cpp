// A ring that looks right when the context is made and makes no sense later: from then on events are taken by
// io_getevents, and every result is what it would have been. (Rings that look wrong from the start: loop/loop.cpp.)
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <functional>
#include <vector>

#include <kaio/kaio.hpp>

namespace {

struct damage {
    std::function<void(kaio::aio_ring&)> spoil;
    unsigned at_submit; // after which io_submit, from 1
    kaio::aio_ring* ring = nullptr;
    kaio::aio_ring before{};
    unsigned submits = 0, waits = 0;
    bool spoilt = false;
};

// Linux, but what user space sees of the ring is spoilt after one of its submissions. The kernel's own calls find it
// as it was: they must not be misled by what is only this test's doing.
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
    [](kaio::aio_ring& ring) { ring.tail = (ring.tail + 1) % ring.nr; },           // an event that nobody asked for
    [](kaio::aio_ring& ring) { ring.head = (ring.head + ring.nr - 1) % ring.nr; }, // an old one again, as on RHEL 7
};

} // namespace

TEST_CASE("a ring that goes bad after any submission: a loop gives the same results, each once, by io_getevents") {
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

TEST_CASE("and so does a context, and what was refused before explains no event") {
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
