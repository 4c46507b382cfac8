#include <kaio/sim/options.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "worlds.hpp"

using test::ask;
using test::bytes;

TEST_CASE("faults come at about their rate, and only when they are asked for") {
    auto const count = [](kaio::sim::options how) {
        kaio::sim::world world(9, how);
        auto const file = world.open("file");
        file.resize(1 << 20);
        test::simulated_loop loop(16, {}, world);
        std::vector<std::vector<std::byte>> buffers(2000, bytes(100, 0));
        struct {
            unsigned bad = 0, shorter = 0, flipped = 0;
        } seen;
        for (auto& buffer : buffers)
            loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) {
                seen.bad += r.res() == -EIO;
                seen.shorter += r && r.bytes() < 100 && r.bytes() > 0;
                seen.flipped += buffer != bytes(100, 0);
            });
        CHECK(loop.run() == 2000);
        return std::array<unsigned, 3>{seen.bad, seen.shorter, seen.flipped};
    };
    CHECK(count({}) == std::array<unsigned, 3>{0, 0, 0});
    CHECK(count({.no_room = 0.1, .interrupts = 0.1}) == std::array<unsigned, 3>{0, 0, 0}); // the loop's own business
    auto const [bad, shorter, flipped] = count({.short_transfers = 0.1, .io_errors = 0.05, .bit_flips = 0.2});
    CHECK((bad > 50 && bad < 150));
    CHECK((shorter > 130 && shorter < 270));
    CHECK((flipped > 300 && flipped < 500));
}

TEST_CASE("a full disk: a write is short, or ENOSPC if not a byte fits, but in place there is room") {
    kaio::sim::world world(10);
    auto const file = world.open("file"), other = world.open("other");
    auto buffer = bytes(4096, 'x');
    test::simulated_loop loop(16, {}, world);
    CHECK(ask(loop, kaio::write(file, buffer, 0)).bytes() == 4096);
    world.options().disk_size = 5000;
    CHECK(ask(loop, kaio::write(other, buffer, 0)).bytes() == 904);
    CHECK(ask(loop, kaio::write(other, buffer, 904)).res() == -ENOSPC);
    CHECK(ask(loop, kaio::write(file, buffer, 0)).bytes() == 4096);
}

TEST_CASE("a direct file insists on alignment, and is short by whole units") {
    kaio::sim::world world(11, {.short_transfers = 1});
    auto const file = world.open("file", {.direct = true, .alignment = {512, 4096}});
    kaio::aligned_buffer buffer(65536, 4096);
    kaio::descriptor const plain = file.fd(); // which knows nothing of alignment, so that no assert comes first
    test::simulated_loop loop(16, {}, world);
    auto const written = ask(loop, kaio::write(plain, std::span(buffer), 0)).bytes();
    CHECK((written > 0 && written < 65536 && written % 4096 == 0));
    CHECK(ask(loop, kaio::write(plain, std::span(buffer).first(4096), 0)).bytes() == 4096); // one unit can't be less
    CHECK(ask(loop, kaio::write(plain, std::span(buffer).first(512), 0)).res() == -EINVAL);
    CHECK(ask(loop, kaio::write(plain, std::span(buffer).first(4096), 512)).res() == -EINVAL);
    CHECK(ask(loop, kaio::write(plain, std::span(buffer).subspan(1, 4096), 0)).res() == -EINVAL);
    CHECK(file.direct());
    CHECK(file.alignment() == kaio::file_alignment{512, 4096});
}

TEST_CASE("short transfers of direct files are multiples of short_unit, and stop where direct I/O can't go on") {
    kaio::sim::world world(12, {.short_transfers = 1, .short_unit = 1000});
    auto const file = world.open("file", {.direct = true, .alignment = {512, 512}});
    kaio::aligned_buffer buffer(65536, 4096);
    test::simulated_loop loop(16, {}, world);
    bool unaligned = false;
    for (int i = 0; i < 100; ++i) {
        auto const written = ask(loop, kaio::write(file, buffer, 0)).bytes();
        REQUIRE((written > 0 && written < 65536 && written % 1000 == 0));
        unaligned = unaligned || written % 512 != 0;
    }
    CHECK(unaligned);
}

TEST_CASE("latencies are between the least and the most, but for what completes at once") {
    kaio::sim::world world(13, {.least_latency = 1'000'000, .most_latency = 2'000'000});
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    test::simulated_loop loop(1, {}, world);
    int at_once = 0;
    for (int i = 0; i < 500; ++i) {
        std::int64_t const before = world.now();
        REQUIRE(ask(loop, kaio::write(file, buffer, 0)).bytes() == 64);
        std::int64_t const took = world.now() - before;
        REQUIRE((took < 100'000 || (took >= 1'000'000 && took < 2'100'000)));
        at_once += took < 100'000;
    }
    CHECK((at_once > 10 && at_once < 60));
}

TEST_CASE("a change counts from then on, also for requests in flight") {
    kaio::sim::world world(14);
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    test::simulated_loop loop(16, {}, world);
    CHECK(ask(loop, kaio::write(file, buffer, 0)));
    int failed = 0;
    for (int i = 0; i < 16; ++i)
        loop.submit(kaio::write(file, buffer, 0), [&](kaio::io_result r) { failed += r.res() == -EIO; });
    loop.flush();
    world.options().io_errors = 1;
    loop.run();
    CHECK(failed > 8); // some had completed at once
    world.options().io_errors = 0;
    CHECK(ask(loop, kaio::write(file, buffer, 0)).bytes() == 64);
}
