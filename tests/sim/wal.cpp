// docs/examples/wal.hpp under power loss, full disks and bad sectors: no acknowledged record is lost or torn. Without
// its fdatasync the same test finds a lost record, and prints the seed.
#include "support/catch.hpp"
#include "support/rounds.hpp"
#include "support/temporary_file.hpp"

#include "../../docs/examples/wal.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <kaio/loop/helpers.hpp>
#include <kaio/sim/helpers.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

using simulated_loop = kaio::basic_loop<kaio::sim::kernel>;

// Runs several lives of one log. Power loss ends each of them. `helpers`: where requests block, on a loop with so many.
// Returns what went wrong, or an empty text.
template <bool Sync> std::string run(std::uint64_t seed, unsigned helpers = 0) {
    kaio::sim::world world(seed, {.short_transfers = 0.1, .no_room = 0.05, .interrupts = 0.05});
    auto& chance = world.random();
    if (chance.below(3) == 0) world.options().disk_size = chance.between(1ull, 200ull) * 1000;
    auto const file = world.open("wal", {.direct = true});
    if (helpers != 0) {
        world.options().blocking = 0.2;
        file.options().blocks = kaio::sim::blocking_writes::extending;
    }
    kaio::sim::helpers team(world, helpers);
    std::vector<std::string> log; // the appended records, in order
    std::size_t acknowledged = 0; // how many of them were acknowledged, from the first on

    for (int life = 0; life < 4; ++life) {
        simulated_loop loop = helpers != 0 ? simulated_loop(8, team, {}, world) : simulated_loop(8, {}, world);
        write_ahead_log<simulated_loop, Sync> wal(loop, file);

        world.options().io_errors = 0;
        std::size_t found = 0;
        std::string wrong;
        std::error_code const error = wal.recover([&](std::span<const std::byte> record) {
            if (wrong.empty() && (found >= log.size() || log[found] != text_of(record)))
                wrong = "record " + std::to_string(found) + " is not what was appended";
            ++found;
        });
        if (error) return "recovery failed: " + error.message();
        if (!wrong.empty()) return wrong;
        if (found < acknowledged)
            return "record " + std::to_string(found) + " was acknowledged, and is gone after crash " +
                   std::to_string(life);
        log.resize(found);
        acknowledged = found;

        if (chance.below(2) == 0) world.options().io_errors = 0.02;
        world.crash_at(world.now() + chance.between(0, 3'000'000));
        bool failed = false;
        while (world.crashes() == static_cast<unsigned>(life) && !failed) {
            for (int i = chance.between(1, 4); i > 0 && !failed; --i) {
                // All records differ. Otherwise the sectors of one could complete a torn one.
                log.emplace_back(chance.below(2000), ' ');
                for (char& c : log.back()) c = static_cast<char>('a' + chance.below(26));
                wal.append(std::as_bytes(std::span(log.back())), [&](std::error_code failure) {
                    if (failure)
                        failed = true;
                    else
                        ++acknowledged;
                });
            }
            loop.run_for(kaio::duration::from_ns(chance.between(0, 300'000)));
        }
        if (world.crashes() == static_cast<unsigned>(life)) world.crash();
        loop.run(); // what is left fails
    }
    return {};
}

} // namespace

constexpr std::uint64_t seeds = test::rounds(3000);

TEST_CASE("no acknowledged record is lost or torn, under many seeds with four crashes each") {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        CAPTURE(seed);
        REQUIRE(run<true>(seed) == "");
    }
}

TEST_CASE("the same on a loop with helpers, where requests block") {
    unsigned const helpers = GENERATE(1u, 3u);
    for (std::uint64_t seed = 0; seed < seeds / 2; ++seed) {
        CAPTURE(seed);
        REQUIRE(run<true>(seed, helpers) == "");
    }
    std::uint64_t lost = 0;
    while (lost < 100 && run<false>(lost, helpers).empty()) ++lost;
    CHECK(lost < 100);
}

TEST_CASE("without fdatasync some seed loses an acknowledged record, and loses it each time") {
    std::uint64_t seed = 0;
    while (seed < 100 && run<false>(seed).empty()) ++seed;
    std::string const wrong = run<false>(seed);
    std::printf("without fdatasync: seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
    CHECK(test::ContainsSubstring("was acknowledged, and is gone").match(wrong));
    CHECK(run<false>(seed) == wrong);
    CHECK(run<true>(seed) == "");
}

TEST_CASE("a group whose filling is beyond the end of the file is found, and stays") {
    kaio::sim::world world(1);
    auto const file = world.open("wal", {.direct = true});
    std::string const record(700, 'r');
    {
        kaio::basic_loop<kaio::sim::kernel> loop(8, {}, world);
        write_ahead_log<decltype(loop)> wal(loop, file);
        REQUIRE(!wal.recover([](auto) {}));
        wal.append(std::as_bytes(std::span(record)), [](std::error_code error) { CHECK(!error); });
        loop.run();
    }
    for (std::uint64_t const size : {4096, 1536, 1024}) { // the record and its headers take 720 of them
        file.resize(size);
        kaio::basic_loop<kaio::sim::kernel> loop(8, {}, world);
        write_ahead_log<decltype(loop)> wal(loop, file);
        std::size_t found = 0;
        REQUIRE(!wal.recover([&](std::span<const std::byte> bytes) { found += text_of(bytes) == record; }));
        CHECK(found == 1);
    }
}

TEST_CASE("a flipped bit is never taken for a record") {
    kaio::sim::world world(1);
    auto const file = world.open("wal", {.direct = true});
    std::string const record(10'000, 'r');
    for (std::uint64_t damaged = 0; damaged < 10'020; damaged += 5) {
        kaio::basic_loop<kaio::sim::kernel> loop(8, {}, world);
        file.resize(0);
        {
            write_ahead_log<decltype(loop)> wal(loop, file);
            REQUIRE(!wal.recover([](auto) {}));
            wal.append(std::as_bytes(std::span(record)), [](std::error_code error) { CHECK(!error); });
            loop.run();
        }
        file.flip_bit(damaged, static_cast<unsigned>(damaged % 8));
        write_ahead_log<decltype(loop)> wal(loop, file);
        std::size_t found = 0;
        REQUIRE(!wal.recover([&](auto) { ++found; }));
        REQUIRE(found == 0);
    }
}

TEST_CASE("the log works on the real kernel") {
    test::temporary_file temporary;
    kaio::file const file = kaio::file::open(temporary.path(), O_RDWR);
    kaio::loop loop(8);
    std::vector<std::string> const records{"first", "", std::string(5000, '2'), std::string(1'000'000, '3'), "last"};
    for (std::size_t life = 0; life < records.size(); ++life) {
        write_ahead_log<kaio::loop> wal(loop, file);
        std::vector<std::string> found;
        REQUIRE(!wal.recover([&](std::span<const std::byte> record) { found.push_back(text_of(record)); }));
        CHECK(found == std::vector<std::string>(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(life)));
        std::error_code answer = std::make_error_code(std::errc::io_error);
        wal.append(std::as_bytes(std::span(records[life])), [&](std::error_code error) { answer = error; });
        loop.run();
        CHECK(!answer);
    }
    write_ahead_log<kaio::loop> wal(loop, file);
    std::error_code answer;
    wal.append(std::vector<std::byte>(2'000'000), [&](std::error_code error) { answer = error; });
    CHECK(answer == std::errc::message_size);
}
