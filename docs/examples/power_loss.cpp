// power_loss [SEED]: appends records to the log of wal.hpp on a simulated disk and cuts the power in the middle. What
// was acknowledged must be there afterwards. The same seed prints the same line each time.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <system_error>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

#include "wal.hpp"

using namespace std::chrono_literals;
using simulated_loop = kaio::basic_loop<kaio::sim::kernel>;

int main(int argc, char** argv) {
    std::uint64_t const seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    auto const record = std::as_bytes(std::span(std::string_view("a record")));
    unsigned acknowledged = 0, found = 0;

    kaio::sim::world world(seed, {.short_transfers = 0.1, .no_room = 0.05});
    kaio::sim::file const file = world.open("log", {.direct = true});
    {
        simulated_loop loop(32, {}, world);
        write_ahead_log<simulated_loop> log(loop, file); // the program under test
        if (log.recover([](auto) {})) return 1;
        world.crash_at(world.now() + world.random().below(100'000'000)); // ns
        while (world.crashes() == 0) {
            log.append(record, [&](std::error_code error) { acknowledged += error ? 0 : 1; });
            loop.run_for(100us);
        }
        loop.run(); // the power is gone: what was in flight completes with EIO
    }
    simulated_loop loop(32, {}, world); // the machine is on again
    write_ahead_log<simulated_loop> log(loop, file);
    if (log.recover([&](auto) { ++found; })) return 1; // finds what the disk kept

    std::printf("%u records acknowledged, %u found\n", acknowledged, found);
    return found >= acknowledged ? 0 : 1;
}
