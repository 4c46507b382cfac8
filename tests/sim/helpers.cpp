#include <kaio/sim/helpers.hpp>

#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "worlds.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <kaio/loop/helpers.hpp>

using kaio::sim::blocking_writes;
using kaio::sim::nowait_answer;
using test::bytes;
using loop_type = kaio::basic_loop<kaio::sim::kernel, kaio::loop_counters>;

namespace {

constexpr kaio::duration ms(std::int64_t count) { return kaio::duration::from_ns(count * 1'000'000); }

bool is_write(const kaio::iocb& request) {
    return request.aio_lio_opcode == static_cast<std::uint16_t>(kaio::opcode::pwrite);
}
bool has_nowait(const kaio::iocb& request) {
    return (request.aio_rw_flags & static_cast<std::int32_t>(kaio::rw_flags::nowait)) != 0;
}

// What a watching_kernel has seen, and what it is to refuse. Requests with a priority get EBADF from it if a helper
// submits them.
struct watch {
    double chance_of_refusal = 0; // for each io_submit: EAGAIN, or only a prefix
    unsigned refused_wakes = 0;   // wakes by helpers that get EAGAIN
    unsigned inside = 0;          // helpers that are in io_submit
    unsigned by_helpers = 0;      // requests that the kernel took from helpers
    unsigned without_room = 0;    // EAGAIN of the world
    unsigned stuck = 0;           // the loop's thread was inside io_submit for longer than its calls take
    bool overlap = false;         // two helpers wrote to one file at a time
    std::map<std::uint32_t, unsigned> writers{};
    std::map<std::uint32_t, std::vector<std::int64_t>> tried{}, written{}; // offsets of writes, by file
    std::thread::id loop_thread = std::this_thread::get_id();
};

class watching_kernel : public kaio::sim::kernel {
public:
    watching_kernel(kaio::sim::world& world, watch& seen) noexcept : kernel(world), world_(&world), seen_(&seen) {}

    long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
        if (world_->random().chance(seen_->chance_of_refusal)) {
            if (world_->random().below(2)) return -EAGAIN;
            count = world_->random().between(1l, count);
        }
        bool const helper = std::this_thread::get_id() != seen_->loop_thread;
        if (helper && batch[0]->aio_nbytes == 0 && seen_->refused_wakes != 0) {
            --seen_->refused_wakes;
            return -EAGAIN;
        }
        for (long i = 0; i < count; ++i)
            if (helper && batch[i]->aio_reqprio != 0) {
                if (i == 0) return -EBADF;
                count = i;
            }
        for (long i = 0; i < count; ++i)
            if (is_write(*batch[i]))
                (has_nowait(*batch[i]) ? seen_->tried : seen_->written)[batch[i]->aio_fildes].push_back(
                    batch[i]->aio_offset);
        std::uint32_t const file = batch[0]->aio_fildes;
        bool const writes = helper && is_write(*batch[0]);
        if (helper) ++seen_->inside;
        if (writes && seen_->writers[file]++ != 0) seen_->overlap = true;
        std::int64_t const before = world_->now();
        long const answer = kernel::io_submit(id, count, batch);
        if (!helper && world_->now() - before > 50'000) ++seen_->stuck;
        if (writes) --seen_->writers[file];
        if (helper) --seen_->inside;
        if (helper && answer > 0) seen_->by_helpers += static_cast<unsigned>(answer);
        if (answer == -EAGAIN) ++seen_->without_room;
        return answer;
    }

private:
    kaio::sim::world* world_;
    watch* seen_;
};

// Writes a file from its beginning, `depth` requests at a time, beside a timer of 1 ms. Returns by how much the timer
// was late at most, in nanoseconds.
template <class Loop> std::int64_t lateness(kaio::sim::world& world, Loop& loop, kaio::sim::file file, int depth) {
    auto const buffer = bytes(4096, 'x');
    int left = 200;
    std::int64_t offset = 0, latest = 0;
    std::function<void()> const next = [&] {
        if (left-- <= 0) return;
        loop.submit(kaio::write(file, buffer, offset), [&](kaio::io_result result) {
            CHECK(result.bytes() == 4096);
            next();
        });
        offset += 4096;
    };
    std::function<void()> const tick = [&] {
        loop.submit(kaio::after(ms(1)), [&, due = world.now() + 1'000'000](kaio::io_result) {
            latest = (std::max)(latest, world.now() - due);
            if (left > 0) tick();
        });
    };
    for (int i = 0; i < depth; ++i) next();
    tick();
    loop.run();
    CHECK(file.size() == 200 * 4096);
    return latest;
}

constexpr std::uint64_t seeds = test::rounds(3000);

} // namespace

TEST_CASE("a timer beside a stream of writes that block is late without helpers, and on time with them") {
    int const depth = GENERATE(1, 8, 32);
    unsigned const count = GENERATE(1u, 3u);
    kaio::sim::options const how{.least_blocking = 5'000'000, .most_blocking = 6'000'000};
    {
        kaio::sim::world world(1, how);
        loop_type loop(32, {}, world);
        CHECK(lateness(world, loop, world.open("file", {.blocks = blocking_writes::extending}), depth) > 3'000'000);
    }
    kaio::sim::world world(1, how);
    kaio::sim::helpers helpers(world, count);
    loop_type loop(32, helpers, {}, world);
    CHECK(lateness(world, loop, world.open("file", {.blocks = blocking_writes::extending}), depth) < 100'000);
    CHECK(loop.observer().longest_submit_ns < 50'000);
}

TEST_CASE("with N helpers N files block at a time, and the writes of one file block one after the other, in order") {
    unsigned const count = GENERATE(1u, 2u, 4u);
    kaio::sim::world world(2, {.least_blocking = 1'000'000, .most_blocking = 1'000'000});
    kaio::sim::helpers helpers(world, count);
    watch seen;
    auto const buffer = bytes(512, 'x');
    {
        kaio::basic_loop<watching_kernel> loop(64, helpers, {}, watching_kernel(world, seen));
        std::int64_t const before = world.now();
        for (int i = 0; i < 16; ++i)
            for (char const* const name : {"a", "b", "c", "d"})
                loop.submit(kaio::write(world.open(name, {.blocks = blocking_writes::all}), buffer, i * 512),
                            [](kaio::io_result result) { CHECK(result.bytes() == 512); });
        loop.run();
        std::int64_t const took = world.now() - before, alone = 4 * 16 * 1'000'000 / count;
        CHECK(took >= alone);
        CHECK(took < alone + alone / 8);
    }
    CHECK(!seen.overlap);
    CHECK(seen.stuck == 0);
    for (auto const& [file, offsets] : seen.written) {
        REQUIRE(offsets.size() == 16);
        CHECK(std::is_sorted(offsets.begin(), offsets.end()));
    }
}

TEST_CASE("what always blocks goes to a helper at once, and what has stopped blocking is found out again") {
    kaio::sim::world world(3, {.most_blocking = 200'000});
    kaio::sim::helpers helpers(world);
    loop_type loop(4, helpers, {}, world);
    auto const file = world.open("file", {.blocks = blocking_writes::all});
    auto const buffer = bytes(512, 'x');
    auto const& counted = loop.observer();
    for (int i = 0; i < 1000; ++i) CHECK(test::ask(loop, kaio::write(file, buffer, i * 512)).bytes() == 512);
    CHECK(counted.would_block + counted.known_to_block == 1000);
    CHECK(counted.would_block < 20);
    file.options().blocks = blocking_writes::extending; // the file is as long as it will be
    for (int i = 0; i < 1000; ++i) CHECK(test::ask(loop, kaio::write(file, buffer, i * 512)).bytes() == 512);
    auto const before = counted.would_block + counted.known_to_block;
    CHECK(before < 2100);
    for (int i = 0; i < 1000; ++i) CHECK(test::ask(loop, kaio::write(file, buffer, i * 512)).bytes() == 512);
    CHECK(counted.would_block + counted.known_to_block == before);
    file.options().blocks = blocking_writes::all;
    for (int i = 0; i < 100; ++i) CHECK(test::ask(loop, kaio::write(file, buffer, i * 512)).bytes() == 512);
    CHECK(counted.would_block + counted.known_to_block == before + 100);
}

TEST_CASE("a file that knows no NOWAIT goes by helpers, a file in memory does not, and neither is a request's error") {
    kaio::sim::world world(4);
    kaio::sim::helpers helpers(world);
    auto const buffer = bytes(512, 'x');
    auto const handed_over = [&](const char* name, kaio::sim::file_options options) {
        loop_type loop(4, helpers, {}, world);
        for (int i = 0; i < 100; ++i)
            CHECK(test::ask(loop, kaio::write(world.open(name, options), buffer, i * 512)).bytes() == 512);
        CHECK(loop.observer().would_block == 0);
        CHECK((loop.observer().no_nowait == 0 || loop.observer().no_nowait == 1)); // the first tells
        return loop.observer().no_nowait + loop.observer().known_to_block;
    };
    CHECK(handed_over("ext4", {.nowait = nowait_answer::refused_in_event}) == 100);
    CHECK(handed_over("fuse", {.nowait = nowait_answer::refused_at_submission}) == 100);
    CHECK(handed_over("tmpfs", {.in_memory = true}) == 0);
    CHECK(handed_over("plain", {}) == 0);
}

TEST_CASE("cold reads overlap, although each would block, and warm reads need no helper") {
    kaio::sim::world world(5, {.least_latency = 1'000'000, .most_latency = 1'000'000});
    kaio::sim::helpers helpers(world);
    loop_type loop(32, helpers, {}, world);
    auto const file = world.open("file", {.cached = true});
    file.resize(32 * 65536);
    std::vector<std::vector<std::byte>> buffers(32, bytes(4096, '?'));
    auto const read_all = [&] {
        std::int64_t const before = world.now();
        for (std::size_t i = 0; i < buffers.size(); ++i)
            loop.submit(kaio::read(file, buffers[i], i * 65536),
                        [](kaio::io_result result) { CHECK(result.bytes() == 4096); });
        loop.run();
        return world.now() - before;
    };
    for (int i = 0; i < 5; ++i) {
        file.evict();
        CHECK(read_all() < 3'000'000); // without read-ahead it is 32 ms
    }
    auto const before = loop.observer().would_block + loop.observer().known_to_block;
    CHECK(before > 100);
    for (int i = 0; i < 10; ++i) read_all();
    auto const more = loop.observer().would_block + loop.observer().known_to_block - before;
    CHECK(more < 40);
}

TEST_CASE("requests that a full device queue holds up need no helper, can be cancelled, and end with the loop") {
    kaio::sim::world world(6, {.least_latency = 1'000'000, .most_latency = 1'000'000});
    auto const device = world.open("device", {.queue_depth = 2});
    device.resize(1 << 20);
    auto buffer = bytes(512, '?');
    kaio::sim::helpers helpers(world);
    std::map<int, int> results;
    {
        loop_type loop(16, helpers, {}, world);
        for (int i = 0; i < 16; ++i)
            loop.submit(kaio::read(device, buffer, i * 512),
                        [&](kaio::io_result result) { ++results[result.error().value()]; });
        loop.run();
        CHECK(results == std::map<int, int>{{0, 16}});
        CHECK(loop.observer().would_block + loop.observer().known_to_block < 4);
        results.clear();
        std::deque<kaio::owned_operation<std::function<void(kaio::io_result)>>> operations;
        for (int i = 0; i < 16; ++i)
            loop.submit(kaio::read(device, buffer, i * 512),
                        operations.emplace_back([&](kaio::io_result result) { ++results[result.error().value()]; }));
        loop.run_for(kaio::duration::from_ns(100'000));
        int cancelled = 0;
        for (auto& each : operations) cancelled += cancelled < 5 && bool(loop.cancel(each));
        CHECK(cancelled == 5);
        loop.run();
        CHECK(results == std::map<int, int>{{0, 11}, {ECANCELED, 5}});
        results.clear();
        for (int i = 0; i < 16; ++i)
            loop.submit(kaio::read(device, buffer, i * 512),
                        [&](kaio::io_result result) { ++results[result.error().value()]; });
        loop.run_for(kaio::duration::from_ns(100'000));
    }
    CHECK(results[0] + results[ECANCELED] == 16);
    CHECK(results[ECANCELED] > 5);
}

TEST_CASE("wait_for lets virtual time pass until the job has ended") {
    struct job : kaio::helper_job {
        bool ran = false;
    } job{{[](kaio::helper_job& self) noexcept { static_cast<struct job&>(self).ran = true; }}};
    kaio::sim::world world(7);
    kaio::sim::helpers helpers(world, 2);
    CHECK(helpers.size() == 2);
    CHECK(helpers.usable());
    helpers.wait_for(job); // it was not started
    std::int64_t const before = world.now();
    CHECK(helpers.start(job));
    CHECK(!job.ran);
    helpers.wait_for(job);
    CHECK(job.ran);
    CHECK(world.now() > before);
    CHECK(world.now() < before + 60'000);
}

TEST_CASE("so many jobs run at a time as there are helpers, and what they call takes their time, not the loop's") {
    struct job : kaio::helper_job {
        kaio::sim::world* world = nullptr;
        int* running = nullptr;
        int* most = nullptr;

        static void work(kaio::helper_job& self) noexcept {
            auto& mine = static_cast<job&>(self);
            *mine.most = (std::max)(*mine.most, ++*mine.running);
            kaio::sim::kernel const kernel(*mine.world);
            std::int64_t const before = mine.world->now();
            for (int i = 0; i < 10'000; ++i) kernel.look();
            CHECK(mine.world->now() == before);
            kernel.relax(); // where others may run
            --*mine.running;
            for (int i = 0; i < 10'000; ++i) kernel.look();
        }
    };
    int const count = GENERATE(1, 3);
    kaio::sim::world world(9);
    kaio::sim::helpers helpers(world, static_cast<unsigned>(count));
    int running = 0, most = 0;
    std::vector<job> jobs(12, job{{&job::work}, &world, &running, &most});
    std::int64_t const before = world.now();
    for (job& each : jobs) CHECK(helpers.start(each));
    for (job& each : jobs) helpers.wait_for(each);
    CHECK(most == count);
    CHECK(world.now() - before >= 12 / count * 2 * 10'000 * 50);
}

TEST_CASE("a request that a helper was refused for completes, although the kernel first has no room to wake the loop") {
    kaio::sim::world world(8);
    kaio::sim::helpers helpers(world);
    watch seen{.refused_wakes = 3};
    kaio::loop_options const sleeps_at_once{.spin_limit = kaio::duration::zero()};
    kaio::basic_loop<watching_kernel> loop(4, helpers, sleeps_at_once, watching_kernel(world, seen));
    auto const buffer = bytes(512, 'x');
    auto const file = world.open("file", {.blocks = blocking_writes::all});
    CHECK(test::ask(loop, kaio::write(file, buffer, 0).priority(kaio::priority_class::idle)).res() == -EBADF);
    CHECK(seen.refused_wakes == 0);
}

TEST_CASE("a loop is destroyed while the kernel has no room for what helpers submit: each request completes once") {
    auto const buffer = bytes(512, 'x');
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        CAPTURE(seed);
        kaio::sim::world world(seed, {.most_blocking = 200'000});
        kaio::sim::helpers helpers(world);
        watch seen{.chance_of_refusal = 0.5};
        int completed = 0;
        {
            kaio::basic_loop<watching_kernel> loop(2, helpers, {}, watching_kernel(world, seen));
            for (int i = 0; i < 4; ++i)
                loop.submit(kaio::write(world.open("file", {.blocks = blocking_writes::all}), buffer, 0),
                            [&](kaio::io_result) { ++completed; });
            loop.run_for(kaio::duration::from_ns(world.random().between(0, 300'000)));
        }
        REQUIRE(completed == 4);
    }
}

namespace {

// Runs a mixed program on files of every kind until it ends, is cut off by a power loss, or its loop is destroyed.
class storm {
public:
    struct stages { // that requests were at when their loop was destroyed
        unsigned queued = 0, in_flight = 0, at_helpers = 0, inside = 0;
    };

    explicit storm(std::uint64_t seed) : world_(seed, options_of(seed)) {}

    // Returns what went wrong, or an empty text. Adds to `happened` what happened, and when.
    std::string run(stages& seen, std::vector<std::int64_t>* happened = nullptr) {
        happened_ = happened;
        auto& chance = world_.random();
        kaio::sim::file const files[] = {
            world_.open("extended", {.direct = true, .blocks = blocking_writes::extending}),
            world_.open("holes", {.direct = true, .blocks = blocking_writes::into_holes}),
            world_.open("btrfs", {.blocks = blocking_writes::all, .cached = true}),
            world_.open("ext4", {.nowait = nowait_answer::refused_in_event, .cached = true}),
            world_.open("fuse", {.nowait = nowait_answer::refused_at_submission}),
            world_.open("tmpfs", {.in_memory = true}),
            world_.open("device", {.direct = true, .queue_depth = chance.between(1u, 4u)}),
        };
        files[1].resize(requests * 512 / 2);
        files[6].resize(requests * 512);
        kaio::sim::helpers helpers(world_, chance.between(1u, 3u));
        if (chance.below(3) == 0) seen_.chance_of_refusal = 0.2;
        if (chance.below(4) == 0) world_.crash_at(world_.now() + chance.between(0, 3'000'000));
        unsigned const capacity = chance.between(1u, 16u);
        {
            kaio::basic_loop<watching_kernel, kaio::loop_counters> loop(
                capacity, helpers,
                {.setup = {.events = chance.below(2) ? kaio::reaping::ring : kaio::reaping::syscall}},
                watching_kernel(world_, seen_));
            for (int i = 0; i < 60 && wrong_.empty(); ++i) {
                for (int count = chance.between(0, 6); count > 0; --count) submit(loop, files[chance.below(7)], true);
                switch (chance.below(6)) {
                case 0:
                    loop.flush();
                    break;
                case 1:
                    (void)loop.try_poll();
                    break;
                case 2:
                    (void)loop.try_run_one();
                    break;
                case 3:
                    cancel(loop);
                    break;
                default:
                    (void)loop.try_run_for(kaio::duration::from_ns(chance.between(0, 200'000)));
                }
                if (loop.in_flight() + loop.queued() != outstanding_) wrong("a request is not counted");
                if (chance.below(20) == 0) files[chance.below(7)].evict();
            }
            bool const finishes = chance.below(2) == 0;
            while (finishes && wrong_.empty() && outstanding_ != 0)
                if (auto const ran = loop.try_run(); !ran && ran.error().value() != EINTR) {
                    wrong("run: " + ran.error().message());
                    break;
                }
            ending_ = true;
            auto const& counted = loop.observer();
            seen.queued += loop.queued() != 0;
            seen.in_flight += loop.in_flight() != 0;
            seen.inside += seen_.inside != 0;
            seen.at_helpers +=
                counted.would_block + counted.known_to_block + counted.no_nowait > seen_.by_helpers + seen_.inside * 32;
        }
        if (outstanding_ != 0) wrong("a request has not completed");
        if (seen_.stuck != 0) wrong("the loop's thread was stuck");
        if (seen_.overlap) wrong("two helpers wrote to one file at a time");
        if (seen_.without_room != 0 && world_.options().no_room == 0 && world_.crashes() == 0)
            wrong("more requests than the capacity");
        for (auto const& each : entries_) check(*each);
        return wrong_;
    }

private:
    static constexpr int requests = 1000;

    struct entry {
        std::optional<kaio::sim::file> file{};
        int number = 0;
        bool writes = false, bad = false, tries = false; // tries: with a NOWAIT of the program's own
        bool cancelled = false;
        int times = 0;
        std::int64_t res = 0;
        kaio::aligned_buffer buffer{512, 512};
        std::optional<kaio::owned_operation<std::function<void(kaio::io_result)>>> operation{};
    };

    static kaio::sim::options options_of(std::uint64_t seed) {
        kaio::sim::options how{.blocking = 0.2, .least_blocking = 1000, .most_blocking = 1'000'000};
        if (seed % 2) how.short_transfers = 0.05;
        if (seed % 3 == 0) how.io_errors = 0.05;
        if (seed % 5 == 0) how.no_room = 0.1;
        if (seed % 7 == 0) how.interrupts = 0.1;
        if (seed % 11 == 0) how.blocking = 1;
        return how;
    }

    void wrong(std::string text) {
        if (wrong_.empty()) wrong_ = std::move(text);
    }

    template <class Loop> void submit(Loop& loop, kaio::sim::file file, bool again) {
        auto& chance = world_.random();
        entry& each = *entries_.emplace_back(std::make_unique<entry>());
        each.file = file;
        each.number = static_cast<int>(entries_.size());
        each.writes = chance.below(2) == 0;
        each.bad = chance.below(16) == 0;
        each.tries = chance.below(16) == 0;
        std::memset(each.buffer.data(), each.number % 255 + 1, 512);
        std::int64_t const offset = each.number * 512;
        kaio::descriptor const target = each.bad && each.writes ? kaio::descriptor(-1) : kaio::descriptor(file.fd());
        kaio::request request =
            each.writes ? kaio::write(target, each.buffer, offset) : kaio::read(target, each.buffer, offset);
        if (each.bad) request = request.priority(kaio::priority_class::idle);
        if (each.tries) request = request.flags(kaio::rw_flags::nowait);
        ++outstanding_;
        each.operation.emplace([this, &loop, &each, again](kaio::io_result result) {
            ++each.times;
            each.res = result.res();
            --outstanding_;
            if (happened_) happened_->insert(happened_->end(), {each.number, each.res, world_.now()});
            if (again && !ending_ && world_.random().below(4) == 0) submit(loop, *each.file, false);
        });
        loop.submit(request, *each.operation);
    }

    template <class Loop> void cancel(Loop& loop) {
        for (auto& each : entries_)
            if (each->times == 0 && world_.random().below(2) == 0)
                each->cancelled = bool(loop.cancel(*each->operation)) || each->cancelled;
    }

    void check(const entry& each) {
        if (each.times != 1) wrong("a request has completed " + std::to_string(each.times) + " times");
        bool const crashed = world_.crashes() != 0,
                   full = seen_.chance_of_refusal != 0 || world_.options().no_room != 0;
        auto const error = static_cast<int>(each.res < 0 ? -each.res : 0);
        if (each.cancelled != (error == ECANCELED) && !(error == ECANCELED && ending_))
            wrong("cancelled, and its result is " + std::to_string(each.res));
        if (error == EBADF && each.bad) return;
        if (error == EIO && (crashed || world_.options().io_errors != 0)) return;
        if ((error == EAGAIN || error == EOPNOTSUPP) && each.tries) return;
        if (error == EAGAIN && full) return;
        if (error == ECANCELED) return;
        if (error != 0) return wrong("the error is " + std::to_string(error));
        if (!each.writes || crashed) return;
        auto const content = each.file->content();
        auto const offset = static_cast<std::size_t>(each.number) * 512;
        if (content.size() < offset + static_cast<std::size_t>(each.res) ||
            std::memcmp(content.data() + offset, each.buffer.data(), static_cast<std::size_t>(each.res)) != 0)
            wrong("what was written is not there");
    }

    kaio::sim::world world_;
    watch seen_{};
    std::vector<std::unique_ptr<entry>> entries_{};
    std::size_t outstanding_ = 0;
    bool ending_ = false;
    std::string wrong_{};
    std::vector<std::int64_t>* happened_ = nullptr;
};

} // namespace

TEST_CASE("every request completes exactly once, with its own result, under many seeds") {
    storm::stages seen;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        CAPTURE(seed);
        REQUIRE(storm(seed).run(seen) == "");
    }
    CHECK(seen.queued > seeds / 20);
    CHECK(seen.in_flight > seeds / 20);
    CHECK(seen.at_helpers > seeds / 100);
    CHECK(seen.inside > seeds / 20);
}

TEST_CASE("the same seed gives the same run with helpers, event for event") {
    storm::stages seen;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        std::vector<std::int64_t> first, second, other;
        storm(seed).run(seen, &first);
        storm(seed).run(seen, &second);
        storm(seed + 1000).run(seen, &other);
        REQUIRE(first.size() > 100);
        REQUIRE(first == second);
        REQUIRE(first != other);
    }
}
