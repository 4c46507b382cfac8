// speed FORM REQUESTS: makes this many requests of 4 KiB on a simulated world, 32 at a time, in one of two forms:
// `read`, or `write` with an fdatasync after every 32. It prints how long that took, and speed.py counts its
// instructions.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

struct work {
    kaio::sim::world world{1};
    kaio::sim::file file = world.open("file");
    kaio::basic_loop<kaio::sim::kernel> loop{32, {}, world};
    bool writes;
    long left;
    std::vector<std::byte> buffer = std::vector<std::byte>(4096);

    void next() {
        if (--left < 0) return;
        auto const offset = world.random().below(std::int64_t{256}) * 4096;
        auto const handler = [this](kaio::io_result r) {
            if (!r) std::abort();
            next();
        };
        if (writes && left % 33 == 0)
            loop.submit(kaio::fdatasync(file), handler);
        else if (writes)
            loop.submit(kaio::write(file, buffer, offset), handler);
        else
            loop.submit(kaio::read(file, buffer, offset), handler);
    }
};

} // namespace

int main(int argc, char* argv[]) {
    if (argc != 3) return 2;
    long const requests = std::atol(argv[2]);
    work w{.writes = argv[1] == std::string_view("write"), .left = requests};
    w.file.resize(256 * 4096);
    auto const start = std::chrono::steady_clock::now();
    for (int i = 0; i < 32; ++i) w.next();
    w.loop.run();
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%ld requests in %.3f s, %.2f million per second\n", requests, seconds,
                static_cast<double>(requests) / seconds / 1e6);
}
