#include <cerrno>

#include <unistd.h>

#include "engine.hpp"

namespace {

class this_engine final : public bench::engine {
    std::string name() const override { return "pread"; }
    std::string what() const override { return "one blocking pread after the other"; }
    unsigned deepest() const override { return 1; }
    void run(const bench::workload& work) const override {
        auto offset = work.offsets();
        bench::slot place{work.buffer(0)};
        work.measured->begin();
        for (std::uint64_t i = 0; i < work.requests; ++i) {
            place.begin(work);
            ssize_t const got = ::pread(work.fd, place.buffer, work.block_size, offset());
            place.end(work, got < 0 ? -errno : got);
        }
        work.measured->end();
    }
};

} // namespace

bench::engine_ptr bench::pread_engine() { return std::make_unique<this_engine>(); }
