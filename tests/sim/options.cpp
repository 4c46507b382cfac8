#include <kaio/sim/options.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

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

namespace {

// What became of one request on a context of its own.
struct outcome {
    std::int64_t res;   // of the event; or io_submit's error
    std::int64_t stuck; // nanoseconds inside io_submit
    std::int64_t took;  // until the event was there
};

outcome submit_alone(kaio::sim::world& world, const kaio::request& request) {
    test::simulated_context context(1, {}, world);
    kaio::iocb block = request;
    kaio::iocb* batch[] = {&block};
    std::int64_t const before = world.now();
    if (auto const answer = context.submit(batch); !answer)
        return {-answer.error_number(), world.now() - before, world.now() - before};
    std::int64_t const stuck = world.now() - before;
    std::array<kaio::io_event, 1> event;
    REQUIRE(*context.wait(event) == 1);
    return {event[0].res, stuck, world.now() - before};
}

constexpr auto nowait = kaio::rw_flags::nowait;
constexpr std::int64_t soon = 5000; // nanoseconds: some system calls

} // namespace

TEST_CASE(
    "a request that blocks is stuck in io_submit until it has completed; with NOWAIT its event has EAGAIN, soon") {
    kaio::sim::world world(15, {.blocking = 1, .least_blocking = 1'000'000, .most_blocking = 2'000'000});
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    for (auto const& request : {kaio::write(file, buffer, 0), kaio::read(file, buffer, 0)})
        for (int i = 0; i < 100; ++i) {
            outcome const plain = submit_alone(world, request);
            REQUIRE(plain.res == 64);
            REQUIRE((plain.stuck >= 1'000'000 && plain.stuck < 2'010'000));
            REQUIRE(plain.took - plain.stuck < soon);
            outcome const tried = submit_alone(world, kaio::request(request).flags(nowait));
            REQUIRE(tried.res == -EAGAIN);
            REQUIRE(tried.took < soon);
        }
    CHECK(submit_alone(world, kaio::fdatasync(file)).stuck < soon);
    CHECK(submit_alone(world, kaio::poll(file, POLLIN)).stuck < soon);
    CHECK(submit_alone(world, kaio::read(file, std::span(buffer).first(0), 0)).stuck < soon);
    world.options().blocking = 0.5;
    int blocked = 0;
    for (int i = 0; i < 1000; ++i) blocked += submit_alone(world, kaio::read(file, buffer, 0)).stuck > soon;
    CHECK((blocked > 400 && blocked < 600));
    CHECK(file.content() == buffer);
}

TEST_CASE("what was tried with NOWAIT and would block has written nothing") {
    kaio::sim::world world(21, {.blocking = 1});
    auto const file = world.open("file");
    auto buffer = bytes(64, 'x');
    CHECK(submit_alone(world, kaio::write(file, buffer, 0).flags(nowait)).res == -EAGAIN);
    CHECK(file.size() == 0);
}

TEST_CASE("the writes of a file that block: extending ones, those into holes, all, or none") {
    using kaio::sim::blocking_writes;
    kaio::sim::world world(16);
    auto const file = world.open("file");
    auto buffer = bytes(4096, 'x');
    auto const would_block = [&](std::int64_t offset) {
        outcome const tried = submit_alone(world, kaio::write(file, buffer, offset).flags(nowait));
        bool const says_so = tried.res == -EAGAIN;
        CHECK((says_so || tried.res == 4096));
        return says_so;
    };
    auto const set_scene = [&] { // 4 KiB of data, a hole of 8 KiB, and then the end
        file.resize(0);
        file.put(0, buffer);
        file.resize(3 * 4096);
    };
    auto const seen = [&](blocking_writes which) {
        file.options().blocks = which;
        set_scene();
        std::array<bool, 4> const answers{would_block(0), would_block(2048), would_block(8192), would_block(8193)};
        CHECK(submit_alone(world, kaio::read(file, buffer, 0).flags(nowait)).res == 4096);
        return answers;
    };
    CHECK(seen(blocking_writes::never) == std::array<bool, 4>{});
    CHECK(seen(blocking_writes::extending) == std::array<bool, 4>{false, false, false, true});
    CHECK(seen(blocking_writes::into_holes) == std::array<bool, 4>{false, true, true, true});
    CHECK(seen(blocking_writes::all) == std::array<bool, 4>{true, true, true, true});
    CHECK(submit_alone(world, kaio::write(file, buffer, 0)).stuck >= world.options().least_blocking);
    CHECK(submit_alone(world, kaio::write(file, buffer, 0).flags(nowait | kaio::rw_flags::append)).res == -EAGAIN);
}

TEST_CASE("files that know no NOWAIT say so at submission, or in the event of a write") {
    using kaio::sim::nowait_answer;
    kaio::sim::world world(17);
    auto buffer = bytes(64, 'x');
    auto const in_event = world.open("ext4", {.nowait = nowait_answer::refused_in_event});
    auto const at_submission = world.open("fuse", {.nowait = nowait_answer::refused_at_submission});
    auto const memory = world.open("tmpfs", {.in_memory = true});
    test::simulated_context context(1, {}, world);
    auto const is_refused = [&](const kaio::request& request) {
        kaio::iocb block = kaio::request(request).flags(nowait);
        kaio::iocb* batch[] = {&block};
        return context.submit(batch).error_number() == EOPNOTSUPP;
    };
    CHECK(is_refused(kaio::write(at_submission, buffer, 0)));
    CHECK(is_refused(kaio::read(at_submission, buffer, 0)));
    CHECK(is_refused(kaio::write(memory, buffer, 0)));
    CHECK(submit_alone(world, kaio::write(in_event, buffer, 0).flags(nowait)).res == -EOPNOTSUPP);
    CHECK(in_event.size() == 0);
    CHECK(submit_alone(world, kaio::write(in_event, buffer, 0)).res == 64);
    CHECK(submit_alone(world, kaio::read(in_event, buffer, 0).flags(nowait)).res == 64);
    for (int i = 0; i < 100; ++i) CHECK(submit_alone(world, kaio::write(memory, buffer, 0)).took < soon);
}

TEST_CASE(
    "a read of what is not in the page cache blocks until it is; NOWAIT takes what is there and fetches the rest") {
    kaio::sim::world world(18, {.least_latency = 50'000, .most_latency = 60'000});
    auto const file = world.open("file", {.cached = true});
    file.put(0, bytes(5 * 4096, 'x'));
    auto buffer = bytes(4096, '?'), all = bytes(4 * 4096, '?');
    auto const wait = [&] { // until all is there that was asked for
        test::simulated_loop loop(1, {}, world);
        loop.submit(kaio::after(kaio::duration::from_ns(100'000)), [](kaio::io_result) {});
        loop.run();
    };
    kaio::sim::kernel const kernel(world);
    int stuck = 0;
    for (int i = 0; i < 20; ++i) {
        file.evict();
        stuck += submit_alone(world, kaio::read(file, buffer, 0)).stuck >= 50'000;
        CHECK(submit_alone(world, kaio::read(file, buffer, 0)).took < soon);
    }
    CHECK(stuck > 10); // some of them at once, as all is in a simulated world
    file.evict();
    outcome tried{};
    do tried = submit_alone(world, kaio::read(file, buffer, 0).flags(nowait));
    while (tried.res == 4096 && (file.evict(), true));
    CHECK(tried.res == -EAGAIN);
    CHECK(tried.took < soon);
    wait();
    CHECK(submit_alone(world, kaio::read(file, buffer, 0).flags(nowait)).res == 4096);
    std::int64_t some = submit_alone(world, kaio::read(file, all, 100).flags(nowait)).res;
    CHECK((some == 4096 - 100 || some == 4 * 4096)); // the rest is on its way, or there at once
    wait();
    CHECK(submit_alone(world, kaio::read(file, all, 100).flags(nowait)).res == 4 * 4096);
    file.evict();
    kernel.read_ahead(file.fd(), 0, 4 * 4096);
    wait();
    CHECK(submit_alone(world, kaio::read(file, all, 0).flags(nowait)).res == 4 * 4096);
    file.evict();
    CHECK(submit_alone(world, kaio::write(file, all, 0)).res == 4 * 4096);
    CHECK(submit_alone(world, kaio::read(file, all, 0).flags(nowait)).res == 4 * 4096);
    int gone = 0;
    for (int i = 0; i < 20; ++i) {
        CHECK(submit_alone(world, kaio::read(file, all, 0)).res == 4 * 4096);
        world.crash();
        gone += submit_alone(world, kaio::read(file, all, 0).flags(nowait)).res == -EAGAIN;
    }
    CHECK(gone > 10);
}

TEST_CASE("a device takes as many requests as its queue has room for, and io_submit blocks on the others") {
    kaio::sim::world world(19, {.least_latency = 1'000'000, .most_latency = 1'000'000});
    auto const device = world.open("device", {.direct = true, .queue_depth = 4});
    device.resize(4096);
    kaio::aligned_buffer buffer(512, 512);
    test::simulated_context context(16, {}, world);
    std::array<kaio::iocb, 8> blocks{};
    std::array<kaio::iocb*, 8> batch{};
    std::array<kaio::io_event, 8> events;
    for (bool const tries : {false, true}) {
        for (std::size_t i = 0; i < 8; ++i) {
            blocks[i] = kaio::read(device, buffer, 0).flags(tries ? nowait : kaio::rw_flags{});
            batch[i] = &blocks[i];
        }
        std::int64_t const before = world.now();
        REQUIRE(context.submit(batch));
        CHECK((world.now() - before >= 900'000) == !tries);
        int refused = 0;
        for (unsigned left = 8; left != 0;)
            for (unsigned n = *context.wait(events), i = 0; i < n; ++i, --left) refused += events[i].res == -EAGAIN;
        CHECK((refused > 0) == tries);
    }
}

TEST_CASE("a loop with helpers learns of a simulated file what it asks") {
    kaio::sim::world world(20);
    kaio::sim::kernel const kernel(world);
    auto const plain = world.open("plain"), direct = world.open("direct", {.direct = true});
    auto const memory = world.open("tmpfs", {.in_memory = true}), device = world.open("device", {.queue_depth = 1});
    CHECK(kernel.status_flags(plain.fd()) == O_RDWR);
    CHECK(kernel.status_flags(direct.fd()) == (O_RDWR | O_DIRECT));
    CHECK(kernel.status_flags(-1) == -EBADF);
    CHECK((kernel.is_in_memory(memory.fd()) && !kernel.is_in_memory(plain.fd()) && !kernel.is_in_memory(-1)));
    CHECK(kernel.file_type(plain.fd()) == S_IFREG);
    CHECK(kernel.file_type(device.fd()) == S_IFBLK);
    CHECK(kernel.file_type(world.make_event().fd()) == 0);
    CHECK(kernel.file_type(-1) == 0);
}
