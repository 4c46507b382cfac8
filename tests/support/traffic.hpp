// Direct I/O at the very alignment that the file reports, many requests in flight, with every byte checked.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/kaio.hpp>

namespace test {

inline constexpr std::int64_t traffic_size = 8 << 20; // bytes

// Random reads and writes of 1 to 16 units, never two at once on one unit, each read held against what was written.
// The first traffic_size bytes of the file must be zeros at the beginning.
template <class Kernel = kaio::linux_kernel> class traffic {
public:
    static constexpr unsigned depth = 32, most = 16;

    traffic(const kaio::file& file, unsigned seed, kaio::loop_options options = {}, Kernel kernel = {})
        : file_(file), unit_(file.alignment().offset), written_(traffic_size / unit_), busy_(traffic_size / unit_),
          random_(seed), loop_(depth, options, std::move(kernel)) {
        // As unaligned as the file says it may be, and no more.
        for (unsigned i = 0; i < depth; ++i) memory_.emplace_back(most * unit_ + 4096, 4096);
    }

    std::function<void()> each; // called at each completion, while others are in flight

    void run(unsigned requests) {
        left_ = requests;
        for (unsigned slot = 0; slot < depth; ++slot) submit(slot);
        loop_.run();
    }

    // Everything, read in another way.
    void check_all() {
        kaio::aligned_buffer all(traffic_size);
        wrong_ += ::pread(file_.fd(), all.data(), traffic_size, 0) != traffic_size;
        for (std::size_t u = 0; u < written_.size(); ++u) wrong_ += !holds(all.data() + u * unit_, u);
    }

    unsigned wrong() const { return wrong_; }
    unsigned completed() const { return completed_; }
    auto& loop() { return loop_; }

private:
    void submit(unsigned slot) {
        if (left_ == 0) return;
        --left_;
        std::size_t count = 1 + random_() % most, first;
        do first = random_() % (written_.size() - count);
        while (overlaps(first, count));
        for (std::size_t u = first; u < first + count; ++u) busy_[u] = true;
        auto const place = file_.alignment().memory * (random_() % (4096 / file_.alignment().memory));
        auto const bytes = std::span<std::byte>(memory_[slot]).subspan(place, count * unit_);
        auto const offset = static_cast<std::int64_t>(first * unit_);
        bool const write = random_() % 2 == 0;
        if (write)
            for (std::size_t u = 0; u < count; ++u) {
                written_[first + u] = ++stamp_;
                for (std::size_t i = 0; i < unit_; i += 8) std::memcpy(&bytes[u * unit_ + i], &stamp_, 8);
            }
        auto const request = write ? kaio::write(file_, bytes, offset) : kaio::read(file_, bytes, offset);
        loop_.submit(request, [this, slot, first, bytes, write](kaio::io_result r) {
            wrong_ += r.bytes() != bytes.size();
            std::size_t const count_done = bytes.size() / unit_;
            for (std::size_t u = 0; u < count_done; ++u) {
                busy_[first + u] = false;
                wrong_ += !write && !holds(bytes.data() + u * unit_, first + u);
            }
            ++completed_;
            if (each) each();
            submit(slot);
        });
    }

    bool overlaps(std::size_t first, std::size_t count) const {
        for (std::size_t u = first; u < first + count; ++u)
            if (busy_[u]) return true;
        return false;
    }

    bool holds(const std::byte* bytes, std::size_t u) const {
        for (std::size_t i = 0; i < unit_; i += 8)
            if (std::memcmp(bytes + i, &written_[u], 8) != 0) return false;
        return true;
    }

    const kaio::file& file_;
    std::size_t const unit_;
    std::vector<std::uint64_t> written_; // what each unit of the file is filled with
    std::vector<bool> busy_;
    std::uint64_t stamp_ = 0;
    unsigned left_ = 0, completed_ = 0, wrong_ = 0;
    std::mt19937 random_;
    std::vector<kaio::aligned_buffer> memory_;
    kaio::basic_loop<Kernel> loop_;
};

} // namespace test
