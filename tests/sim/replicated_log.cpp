// docs/examples/replicated_log.hpp on disks that hang, fail, lose power, come back, and are replaced by blank ones: no
// acknowledged record is lost or torn, and what one recovery has shown every later one shows.
#include "support/catch.hpp"

#include "../../docs/examples/replicated_log.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <kaio/sim/kernel.hpp>

namespace {

using namespace std::chrono_literals;
using simulated_loop = kaio::basic_loop<kaio::sim::kernel>;
constexpr std::size_t largest = 1 << 16; // small, so that most repairs have to read another copy
using tested_log = replicated_log<simulated_loop, largest>;

constexpr tested_log::limits patient{.answer = 200ms, .recovery = 500ms, .retry = 5ms};
constexpr tested_log::limits hasty{.answer = 3ms, .recovery = 20ms, .retry = 1ms};

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Several disks with one file each.
struct disks {
    disks(kaio::sim::world& on, std::size_t count) : world(on) {
        for (std::size_t i = 0; i < count; ++i)
            files.push_back(world.open("copy " + std::to_string(i), {.direct = true}));
    }

    std::vector<tested_log::copy> copies(simulated_loop& loop) const {
        std::vector<tested_log::copy> all;
        for (const auto& file : files) all.push_back({loop, file});
        return all;
    }
    void mend() const {
        for (const auto& file : files) {
            world.resume(file);
            file.mend();
        }
        world.options().io_errors = world.options().bit_flips = 0;
    }

    kaio::sim::world& world;
    std::vector<kaio::sim::file> files{};
};

std::size_t most_behind(const tested_log& log, std::size_t copies) {
    std::size_t most = 0;
    for (std::size_t i = 0; i < copies; ++i) most = std::max(most, log.behind(i));
    return most;
}

std::error_code append(simulated_loop& loop, tested_log& log, const std::string& record) {
    return kaio::sync_wait(loop, log.append(std::as_bytes(std::span(record))));
}
std::vector<std::string> recover(simulated_loop& loop, tested_log& log) {
    std::vector<std::string> found;
    std::error_code const error =
        kaio::sync_wait(loop, log.recover([&](auto record) { found.push_back(text_of(record)); }));
    CHECK(error == std::error_code());
    return found;
}

// What a test knows of the records that it has appended.
struct history {
    std::vector<std::string> appended{}; // in order
    std::size_t certain = 0;             // so many of them must be there, because they or later ones were acknowledged
};

kaio::task<> append_one(tested_log& log, history& all, std::string record) {
    std::size_t const number = all.appended.size();
    all.appended.push_back(record);
    auto const bytes = std::as_bytes(std::span(record));
    std::error_code const error = co_await log.append(bytes);
    if (!error) all.certain = std::max(all.certain, number + 1);
}

std::string random_record(kaio::sim::random_source& chance) {
    std::string record(chance.below(8) == 0 ? chance.below(30'000u) : chance.below(1500u), ' ');
    for (char& c : record)
        c = static_cast<char>('a' + chance.below(26)); // all differ, so no sector fits another record
    return record;
}

// One of the disks is in trouble, or out of it.
void change(disks& all, std::size_t which) {
    auto& chance = all.world.random();
    const kaio::sim::file& file = all.files[which];
    switch (chance.below(7)) {
    case 0:
        all.world.suspend(file);
        break;
    case 1:
    case 2:
        all.world.resume(file);
        break;
    case 3:
        all.world.crash(file);
        break;
    case 4:
        file.break_range(chance.below(200'000), chance.below(2) == 0 ? 4096 : 1 << 30);
        break;
    case 5:
        file.mend();
        break;
    default:
        all.world.options().io_errors = chance.below(2) == 0 ? 0 : 0.02;
    }
}

// Runs several lives of one log. A power loss or the end of the process ends each of them, and disks get into trouble
// meanwhile, any number of them. One disk may be lost for good, and the next one when that is repaired. Returns what
// went wrong, or an empty text. `hasty`: the lives are short, and most end while the log recovers.
std::string run(std::uint64_t seed, const tested_log::limits& limits) {
    bool const is_hasty = &limits == &hasty;
    // (No options::no_room: all copies share a loop here, and a loop without room waits for a completion or a timer.)
    kaio::sim::world world(seed, {.short_transfers = 0.05, .interrupts = 0.02});
    auto& chance = world.random();
    disks all(world, chance.below(4) == 0 ? 5 : 3);
    history records;
    std::string wrong;
    bool one_is_lost = false, one_is_wrong = false;

    for (int life = 0; life < 8; ++life) {
        if (life != 0 && !is_hasty && !one_is_lost && chance.below(3) == 0) {
            const auto& file = all.files[chance.below(all.files.size())];
            one_is_lost = true;
            one_is_wrong = chance.below(2) == 0 && file.size() > 8192;
            if (one_is_wrong) all.mend(); // a disk that lies counts as one that fails: no other is away then
            if (one_is_wrong)
                file.flip_bit(chance.between<std::uint64_t>(8192, file.size() - 1), 3);
            else
                file.resize(0); // a blank one in its place
        }
        simulated_loop loop(16, {}, world);
        {
            if (!one_is_wrong && chance.below(2) == 0) change(all, chance.below(all.files.size()));
            tested_log log(loop, 7, all.copies(loop), limits);
            unsigned const crashes = world.crashes();
            bool const by_power_loss = is_hasty || chance.below(2) == 0;
            if (by_power_loss) world.crash_at(world.now() + chance.between(0, is_hasty ? 8'000'000 : 100'000'000));
            std::size_t found = 0;
            std::error_code const error = kaio::sync_wait(loop, log.recover([&](std::span<const std::byte> record) {
                if (wrong.empty() && (found >= records.appended.size() || records.appended[found] != text_of(record)))
                    wrong = "record " + std::to_string(found) + " is not what was appended";
                ++found;
            }));
            if (wrong.empty() && !error && found < records.certain)
                wrong = "record " + std::to_string(found) + " was acknowledged, and is gone in life " +
                        std::to_string(life);
            if (wrong.empty() && error && error != std::errc::timed_out && error != std::errc::io_error)
                wrong = "recovery failed: " + error.message();
            if (wrong.empty() && !error) {
                records.appended.resize(found);
                records.certain = found;
                world.options().bit_flips = 0.02;
                for (int step = chance.between(1, 40); step > 0 && world.crashes() == crashes; --step) {
                    if (chance.below(4) == 0) change(all, chance.below(all.files.size()));
                    for (int i = chance.below(4); i > 0; --i)
                        kaio::spawn(loop, append_one(log, records, random_record(chance)));
                    loop.run_for(kaio::duration::from_ns(chance.between(0, 3'000'000)));
                    if (most_behind(log, all.files.size()) == 0) one_is_lost = one_is_wrong = false;
                }
            }
            if (by_power_loss && world.crashes() == crashes) world.crash();
        }
        all.mend(); // or what hangs would hang forever
        loop.run();
        if (!wrong.empty()) return wrong;
        if (one_is_wrong || (!is_hasty && chance.below(2) == 0)) continue;
        const auto& file = all.files[chance.below(all.files.size())]; // one is away when the next life begins
        if (chance.below(2) == 0)
            world.suspend(file);
        else
            file.break_range(0, 1 << 30);
    }

    // When all disks are well again, all are repaired, and no one of them is needed.
    for (std::size_t away = 0; away <= all.files.size() && wrong.empty(); ++away) {
        all.mend();
        if (away != 0) world.suspend(all.files[away - 1]);
        simulated_loop loop(16, {}, world);
        {
            tested_log log(loop, 7, all.copies(loop), patient);
            auto const found = recover(loop, log);
            records.appended.resize(std::min(records.appended.size(), away == 0 ? found.size() : SIZE_MAX));
            if (found != records.appended || found.size() < records.certain) wrong = "a record is gone at the end";
            if (away == 0) {
                loop.run_for(1s);
                if (most_behind(log, all.files.size()) != 0) wrong = "a copy was not repaired";
                records.appended.push_back("last");
                if (append(loop, log, "last")) wrong = "nothing can be appended at the end";
            }
        }
        all.mend();
        loop.run();
    }
    return wrong;
}

} // namespace

#ifdef __OPTIMIZE__
constexpr std::uint64_t seeds = 120;
#else
constexpr std::uint64_t seeds = 10; // each takes ten times as long
#endif

TEST_CASE("no acknowledged record is lost or torn, whatever disks do, under many seeds") {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        CAPTURE(seed);
        REQUIRE(run(seed, patient) == "");
    }
}

TEST_CASE("the same where the power fails while the log recovers, and each time another copy is away") {
    for (std::uint64_t seed = 0; seed < 3 * seeds; ++seed) {
        CAPTURE(seed);
        REQUIRE(run(seed, hasty) == "");
    }
}

TEST_CASE("it goes on while one of three disks is in trouble, also forever, and repairs that when it is well again") {
    enum kind { hangs, fails, loses_power, is_blank };
    auto const trouble = GENERATE(hangs, fails, loses_power, is_blank);
    std::size_t const which = GENERATE(0u, 1u, 2u);
    kaio::sim::world world(1);
    disks all(world, 3);
    std::vector<std::string> records;
    for (int life = 0; life < 3; ++life) {
        simulated_loop loop(16, {}, world);
        if (life == 2) { // whatever was in trouble has all of it: it and any other are enough
            all.mend();
            world.suspend(all.files[(which + 1) % 3]);
        }
        {
            tested_log log(loop, 7, all.copies(loop), patient);
            CHECK(recover(loop, log) == records);
            for (int i = 0; i < 40; ++i) {
                if (i == 10 && life == 0) {
                    if (trouble == hangs) world.suspend(all.files[which]);
                    if (trouble == fails) all.files[which].break_range(0, 1 << 30);
                }
                if (trouble == loses_power && life == 0 && i >= 10) world.crash(all.files[which]);
                records.push_back("record " + std::to_string(records.size()));
                CHECK(append(loop, log, records.back()) == std::error_code());
            }
            if (life == 0 && trouble <= fails) CHECK(log.behind(which) >= 29);
            if (life == 1) {
                all.mend();
                loop.run_for(1s);
                for (std::size_t i = 0; i < 3; ++i) CHECK(log.behind(i) == 0);
            }
            all.mend(); // as when a process ends: the kernel waits for what hangs
        }
        loop.run();
        if (life == 0 && trouble == is_blank) all.files[which].resize(0);
        if (life == 0 && trouble == hangs) world.suspend(all.files[which]); // it still does
        if (life == 0 && trouble == fails) all.files[which].break_range(0, 1 << 30);
    }
}

TEST_CASE("every record that is acknowledged is on any two disks, for each trouble of each disk at any time") {
    // 0 to 3: a disk is well, hangs, fails, loses power.
    for (int kinds = 0; kinds < 64; ++kinds)
        for (int moment = 0; moment < 6; ++moment) {
            CAPTURE(kinds, moment);
            kaio::sim::world world(static_cast<std::uint64_t>(kinds * 10 + moment));
            disks all(world, 3);
            history records;
            {
                simulated_loop loop(16, {}, world);
                tested_log log(loop, 7, all.copies(loop), hasty);
                CHECK(recover(loop, log).empty());
                loop.run_for(5ms); // all three belong to the log from now on
                int const well = (kinds % 4 == 0) + (kinds / 4 % 4 == 0) + (kinds / 16 == 0);
                for (int step = 0; step < 8; ++step) {
                    if (step == 2) loop.run_for(kaio::duration::from_ns(moment * 60'000));
                    for (std::size_t i = 0; i < 3 && step == 2; ++i) {
                        int const trouble = kinds >> (2 * i) & 3;
                        if (trouble == 1) world.suspend(all.files[i]);
                        if (trouble == 2) all.files[i].break_range(0, 1 << 30);
                        if (trouble == 3) world.crash(all.files[i]);
                    }
                    kaio::spawn(loop, append_one(log, records, "record " + std::to_string(step)));
                }
                loop.run_for(20ms);
                if (well >= 2) CHECK(records.certain == 8);
                world.crash();
                all.mend();
            }
            for (std::size_t away = 0; away < 3; ++away) {
                all.mend();
                world.suspend(all.files[away]);
                simulated_loop loop(16, {}, world);
                {
                    tested_log log(loop, 7, all.copies(loop), patient);
                    auto const found = recover(loop, log);
                    CHECK(found.size() >= records.certain); // (a REQUIRE would leave with a disk that hangs)
                    CHECK(std::equal(found.begin(), found.end(), records.appended.begin()));
                    records.certain = found.size();
                }
                all.mend();
                loop.run();
            }
        }
}

TEST_CASE("no two recoveries take the same epoch, wherever the first one is cut off") {
    unsigned cut_off = 0; // between its first group's way to one disk and to the other
    // (In nanoseconds. It waits 3 ms for the third copy.)
    for (std::int64_t moment = 3'000'000; moment < 5'500'000; moment += 10'000) {
        CAPTURE(moment);
        kaio::sim::world world(static_cast<std::uint64_t>(moment));
        disks all(world, 3);
        std::vector<std::string> shown;
        for (int life = 0; life < 4; ++life) {
            simulated_loop loop(16, {}, world);
            if (life != 0) world.suspend(all.files[life == 2 ? 0 : 2]); // another majority each time
            {
                tested_log log(loop, 7, all.copies(loop), hasty);
                if (life == 0) { // a record that only the first copy has, as large as can be
                    CHECK(recover(loop, log).empty());
                    loop.run_for(5ms);
                    for (std::size_t i = 1; i < 3; ++i) all.files[i].break_range(0, 1 << 30);
                    CHECK(append(loop, log, std::string(64'000, 'x')) == std::errc::timed_out);
                } else if (life == 1) { // a recovery that finds it, and writes no further than to that copy
                    kaio::spawn(
                        loop, [](tested_log& each) -> kaio::task<> { (void)co_await each.recover([](auto) {}); }(log));
                    loop.run_for(kaio::duration::from_ns(moment));
                    world.suspend(all.files[1]);
                    loop.run_for(2ms);
                } else { // one that does not see that copy, and one that does
                    auto const found = recover(loop, log);
                    CHECK(found.size() >= shown.size());
                    CHECK(std::equal(shown.begin(), shown.end(), found.begin()));
                    cut_off += life == 2 && found.empty() && all.files[0].size() >= 8192 + 4096 + 65536 + 4096;
                    shown = found;
                    shown.push_back("another");
                    CHECK(append(loop, log, "another") == std::error_code());
                    loop.run_for(100ms);
                    if (life == 3) CHECK(log.behind(0) + log.behind(1) == 0);
                }
                world.crash();
            }
            all.mend();
            loop.run();
        }
        // The first copy has what the others have, and not what it had alone.
        auto const first = all.files[0].content(), second = all.files[1].content();
        CHECK(std::equal(first.begin() + 8192, first.begin() + 8192 + 5 * 4096, second.begin() + 8192));
    }
    CHECK(cut_off > 5);
}

TEST_CASE("what a copy has missed comes from another one, is checked, and comes from a third where that one hangs") {
    kaio::sim::world world(1);
    disks all(world, 5);
    simulated_loop loop(16, {}, world);
    {
        tested_log log(loop, 7, all.copies(loop), patient);
        CHECK(recover(loop, log).empty());
        loop.run_for(5ms);
        world.suspend(all.files[4]);
        for (int i = 0; i < 100; ++i) CHECK(append(loop, log, random_record(world.random())) == std::error_code());
        CHECK(log.behind(4) >= 99);
        world.resume(all.files[4]);
        world.suspend(all.files[0]); // the first that is asked
        world.options().bit_flips = 0.8;
        loop.run_for(10s);
        CHECK(log.behind(4) == 0);
        all.mend();
    }
    loop.run();
    CHECK(all.files[4].size() > 2 * largest);
    auto const repaired = all.files[4].content(), model = all.files[1].content();
    CHECK(repaired.size() == model.size());
    CHECK(std::equal(repaired.begin() + 8192, repaired.end(), model.begin() + 8192)); // behind the promises
}

TEST_CASE("a write that has failed is written again, although its bytes can be read") {
    unsigned read = 0;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        kaio::sim::world world(seed);
        disks all(world, 3);
        std::size_t shown = 0;
        for (int life = 0; life < 3; ++life) {
            simulated_loop loop(16, {}, world);
            tested_log log(loop, 7, all.copies(loop), hasty);
            std::size_t const found = recover(loop, log).size();
            REQUIRE(found >= shown);
            shown = found;
            read += life == 1 && found == 1;
            if (life == 0) {
                world.options().io_errors = 1;
                CHECK(append(loop, log, "a record") == std::errc::timed_out);
                world.options().io_errors = 0;
            }
            if (life == 1) world.crash();
        } // the process ends; its machine goes on
    }
    CHECK(read > 5);
}

TEST_CASE("a blank disk says nothing about the log, so that it is not taken for a new one") {
    kaio::sim::world world(1);
    disks all(world, 3);
    {
        simulated_loop loop(16, {}, world);
        tested_log log(loop, 7, all.copies(loop), patient);
        CHECK(recover(loop, log).empty());
        world.suspend(all.files[2]);
        CHECK(append(loop, log, "a record") == std::error_code());
        world.resume(all.files[2]);
        all.files[2].break_range(0, 1 << 30);
        CHECK(append(loop, log, "another") == std::error_code());
    }
    all.mend();
    all.files[0].resize(0);
    world.suspend(all.files[1]); // who has the record besides
    simulated_loop loop(16, {}, world);
    {
        tested_log log(loop, 7, all.copies(loop), patient);
        unsigned found = 0;
        CHECK(kaio::sync_wait(loop, log.recover([&](auto) { ++found; })) == std::errc::timed_out);
        CHECK(found == 0);
    }
    all.mend();
    tested_log log(loop, 7, all.copies(loop), patient);
    CHECK(recover(loop, log) == std::vector<std::string>{"a record", "another"});
}

TEST_CASE("without a majority an append ends in time, and its record may be there later") {
    kaio::sim::world world(1);
    disks all(world, 3);
    simulated_loop loop(16, {}, world);
    {
        tested_log log(loop, 7, all.copies(loop), patient);
        CHECK(recover(loop, log).empty());
        for (std::size_t i = 0; i < 2; ++i) world.suspend(all.files[i]);
        std::int64_t const begin = world.now();
        CHECK(append(loop, log, "a record") == std::errc::timed_out);
        CHECK(world.now() - begin < 201'000'000);
        CHECK(append(loop, log, std::string(2 * largest, 'x')) == std::errc::message_size);
        // Eight groups wait at most.
        std::vector<std::error_code> answers;
        std::string const large(largest - 1000, 'x');
        auto const append_large = [](tested_log& to, const std::string& what, auto& all_answers) -> kaio::task<> {
            all_answers.push_back(co_await to.append(std::as_bytes(std::span(what))));
        };
        for (int i = 0; i < 9; ++i) kaio::spawn(loop, append_large(log, large, answers));
        CHECK(answers == std::vector{std::make_error_code(std::errc::resource_unavailable_try_again)});
        all.mend();
        loop.run_for(1s);
        CHECK(answers.size() == 9);
        CHECK(append(loop, log, "the last") == std::error_code());
    }
    tested_log log(loop, 7, all.copies(loop), patient);
    auto const found = recover(loop, log);
    REQUIRE(found.size() == 10);
    CHECK(found.front() == "a record");
    CHECK(found.back() == "the last");
}

TEST_CASE("a log that is destroyed while a disk hangs ends its waits, and what hangs keeps its memory") {
    kaio::sim::world world(1);
    disks all(world, 3);
    simulated_loop loop(16, {}, world);
    std::error_code answer;
    {
        tested_log log(loop, 7, all.copies(loop), patient);
        CHECK(recover(loop, log).empty());
        for (const auto& file : all.files) world.suspend(file);
        kaio::spawn(loop, [](tested_log& to, std::error_code& error) -> kaio::task<> {
            std::string const record(50'000, 'r');
            error = co_await to.append(std::as_bytes(std::span(record)));
        }(log, answer));
        loop.run_for(1ms);
        CHECK(loop.in_flight() == 3);
    }
    loop.run_for(1s);
    CHECK(answer == std::errc::operation_canceled);
    CHECK(loop.in_flight() == 3);
    all.mend();
    loop.run();
    tested_log log(loop, 7, all.copies(loop), patient);
    CHECK(recover(loop, log) == std::vector<std::string>{std::string(50'000, 'r')});
}

TEST_CASE("a copy of another log is left alone") {
    kaio::sim::world world(1);
    disks all(world, 3);
    auto before = all.files[0].content();
    for (std::uint64_t const id : {7u, 8u}) {
        before = all.files[0].content();
        simulated_loop loop(16, {}, world);
        {
            tested_log log(loop, id, all.copies(loop), patient);
            std::error_code const error = kaio::sync_wait(loop, log.recover([](auto) {}));
            CHECK(error == (id == 7 ? std::error_code() : std::make_error_code(std::errc::timed_out)));
            loop.run_for(10ms);
        }
        loop.run();
    }
    CHECK(before.size() > 8192);
    CHECK(all.files[0].content() == before);
}
