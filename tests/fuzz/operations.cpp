// A libFuzzer target: operations on a loop over the simulated kernel, with faults.
#include "driver.hpp"

#include <kaio/sim/kernel.hpp>

namespace {

struct machine {
    static constexpr unsigned one_restart_in = 1;
    using kernel = kaio::sim::kernel;
    kaio::sim::world world;
    kaio::sim::file disk = world.open("file");
    kaio::sim::event ready = world.make_event();

    explicit machine(std::uint64_t seed) : world(seed) { disk.resize(fuzz::slots * fuzz::slot_size); }
    kernel make_kernel() noexcept { return world; }
    int file() const noexcept { return disk.fd(); }
    int event() const noexcept { return ready.fd(); }
    void set_event() { ready.set(); }
    void clear_event() { ready.clear(); }
    bool faults(std::uint8_t how) {
        auto& o = world.options();
        o.io_errors = how & 1 ? 0.2 : 0;
        o.short_transfers = how & 2 ? 0.2 : 0;
        o.no_room = how & 4 ? 0.5 : 0;
        o.interrupts = how & 8 ? 0.3 : 0;
        return (how & 7) != 0; // with no_room too: many EAGAIN with nothing in flight may become a result
    }
    bool crash() {
        world.crash();
        std::vector<std::byte> const zeros(fuzz::slots * fuzz::slot_size);
        disk.resize(0);
        disk.put(0, zeros);
        return true;
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    machine m(data[0]);
    std::optional<kaio::basic_loop<machine::kernel>> loop;
    fuzz::driver<machine> driver(m, loop);
    loop.emplace(driver.make_loop(m, data[0]));
    driver.run(data + 1, size - 1);
    loop.reset();
    return 0;
}
