// late_timer [SEED]: writes a file that grows, on a simulated disk where such writes block, beside a timer of 1 ms. It
// prints by how much the timer is late at most: on a plain loop, and on a loop with helpers.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/sim/helpers.hpp>
#include <kaio/sim/kernel.hpp>

using namespace std::chrono_literals;
using simulated_loop = kaio::basic_loop<kaio::sim::kernel>;

namespace {

kaio::task<> write(simulated_loop& loop, kaio::sim::file file, bool& done) {
    std::vector<std::byte> const block(4096);
    for (int i = 0; i < 100; ++i)
        (co_await loop.submit(kaio::fully(kaio::write(file, block, i * 4096)))).value("write");
    done = true;
}

// In microseconds.
kaio::task<std::int64_t> latest(simulated_loop& loop, kaio::sim::world& world, bool& done) {
    std::int64_t late = 0;
    while (!done) {
        std::int64_t const due = world.now() + 1'000'000; // ns
        co_await loop.sleep_for(1ms);
        late = std::max(late, (world.now() - due) / 1000);
    }
    co_return late;
}

std::int64_t run(simulated_loop& loop, kaio::sim::world& world) {
    kaio::sim::file const file = world.open("file", {.blocks = kaio::sim::blocking_writes::extending});
    file.resize(0);
    bool done = false;
    kaio::spawn(loop, write(loop, file, done));
    return kaio::sync_wait(loop, latest(loop, world, done));
}

} // namespace

int main(int argc, char** argv) {
    std::uint64_t const seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    kaio::sim::world world(seed);
    simulated_loop plain(32, {}, world);
    std::printf("without helpers it is late by %lld us\n", static_cast<long long>(run(plain, world)));

    kaio::sim::helpers helpers(world, 2);
    simulated_loop loop(32, helpers, {}, world);
    std::printf("with helpers it is late by %lld us\n", static_cast<long long>(run(loop, world)));
}
