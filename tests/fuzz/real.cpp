// A libFuzzer target: operations on a loop over the real kernel, with a small file in memory.
#include "../support/temporary_file.hpp"
#include "driver.hpp"

#include <sys/eventfd.h>

namespace {

struct machine {
    static constexpr unsigned one_restart_in = 8;
    using kernel = kaio::linux_kernel;
    test::temporary_file disk;
    int ready = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    kernel make_kernel() noexcept { return {}; }
    int file() const noexcept { return disk.fd(); }
    int event() const noexcept { return ready; }
    void set_event() { ::eventfd_write(ready, 1); }
    void clear_event() {
        eventfd_t count;
        ::eventfd_read(ready, &count);
    }
    bool faults(std::uint8_t) { return false; }
    bool crash() { return false; }
    void reset() {
        clear_event();
        std::vector<std::byte> const zeros(fuzz::slots * fuzz::slot_size);
        MUST(::pwrite(disk.fd(), zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()));
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static machine m;
    static std::optional<kaio::loop> loop; // shared by all runs, because destroying one takes 30 ms
    m.reset();
    fuzz::driver<machine> driver(m, loop);
    if (!loop) loop.emplace(driver.make_loop(m, 0));
    driver.run(data, size);
    return 0;
}
