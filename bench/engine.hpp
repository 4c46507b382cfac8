// What every engine is: something that reads blocks at random offsets, so many at once, and says who it is. The offsets
// are the same for all, from the same seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

namespace bench {

// xorshift64: cheap enough not to count.
class random_offsets {
public:
    random_offsets(std::uint64_t seed, std::uint64_t blocks, std::size_t block_size) noexcept
        : state_(seed), blocks_(blocks), block_size_(block_size) {}

    std::int64_t operator()() noexcept {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return static_cast<std::int64_t>((((state_ >> 32) * blocks_) >> 32) * block_size_); // blocks_ is below 2^32
    }

private:
    std::uint64_t state_, blocks_;
    std::size_t block_size_;
};

// Told where the reading begins and ends, so that opening and closing an engine is not measured.
class meter {
public:
    virtual ~meter() = default;
    virtual void begin() = 0;
    virtual void end() = 0;
};

struct workload {
    int fd;
    std::uint64_t blocks; // in the file
    std::size_t block_size;
    unsigned depth;
    std::uint64_t requests; // at least depth
    std::uint64_t seed;     // not 0
    std::byte* buffers;     // depth × block_size, aligned
    meter* measured;
    std::vector<std::uint32_t>* latencies = nullptr; // ns of each request; null: don't look at the clock

    random_offsets offsets() const noexcept { return {seed, blocks, block_size}; }
    std::byte* buffer(unsigned slot) const noexcept { return buffers + slot * block_size; }
};

// One request's place. Engines call begin before they submit and end when they have the result.
struct slot {
    std::byte* buffer;
    std::int64_t started = 0;

    static std::int64_t now() noexcept {
        timespec t;
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }
    void begin(const workload& work) noexcept {
        if (work.latencies) started = now();
    }
    // Ends the program if the result is not what was asked for: other reads are in flight, and nothing can be saved.
    void end(const workload& work, std::int64_t result) {
        if (result != static_cast<std::int64_t>(work.block_size)) fail(result);
        if (work.latencies) work.latencies->push_back(static_cast<std::uint32_t>(now() - started));
    }
    [[noreturn]] static void fail(std::int64_t result);
};

inline std::vector<slot> slots(const workload& work) {
    std::vector<slot> all;
    for (unsigned i = 0; i < work.depth; ++i) all.push_back({work.buffer(i)});
    return all;
}

// Throws std::system_error that names the call. `error` is an errno.
[[noreturn]] void call_failed(const char* call, int error);

class engine {
public:
    virtual ~engine() = default;
    virtual std::string name() const = 0;
    virtual std::string what() const = 0;              // one line for --help
    virtual std::string missing() const { return {}; } // why it can't be used here, or nothing
    virtual unsigned deepest() const { return ~0u; }   // the greatest depth that makes sense
    virtual void run(const workload& work) const = 0;
};

using engine_ptr = std::unique_ptr<engine>;
engine_ptr kaio_loop();
engine_ptr kaio_owned();
engine_ptr kaio_context();
engine_ptr kaio_syscall();
engine_ptr kaio_blocking();
engine_ptr raw_ring();
engine_ptr raw_syscall();
engine_ptr libaio();
engine_ptr pread_engine();

} // namespace bench
