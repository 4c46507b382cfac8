// The work that every engine does: the same requests, in the same order from the same seed. A pass over them knows
// which request is in flight at which place, how many are left, and what is measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <vector>

#include "histogram.hpp"

namespace bench {

enum class action : unsigned char { read, write, sync };

struct pattern {
    bool random = true;
    unsigned reads = 100;    // percent
    unsigned sync_every = 0; // a sync follows so many writes; 0: none does
};

struct op {
    bench::action action;
    std::int64_t offset; // bytes
    std::byte* buffer;
    std::size_t size; // bytes
};

// Is told when the measuring begins and ends. Opening and warming up come before, and are not measured.
class meter {
public:
    virtual ~meter() = default;
    virtual void begin() = 0;
    virtual void end() = 0;
};

struct recorder {
    histogram latency; // ns from making a request to having its result
    histogram stuck;   // ns inside each call that hands requests to the kernel
};

struct workload {
    int fd;
    std::uint64_t first_block; // where sequential access starts
    std::uint64_t blocks;      // in the file, below 2^32
    std::size_t block_size;
    bench::pattern pattern;
    unsigned depth;
    std::uint64_t ramp;     // requests before the measured ones, at least 1
    std::uint64_t requests; // measured ones, at least depth
    std::uint64_t seed;     // not 0
    std::byte* buffers;     // depth × block_size, aligned
    meter* measured;
    recorder* record = nullptr; // null: requests are not timed
};

class pass {
public:
    explicit pass(const workload& work)
        : work_(work), places_(work.depth), state_(work.seed), position_(work.first_block),
          left_(work.ramp + work.requests), unfinished_(left_) {}
    pass(const pass&) = delete;
    pass& operator=(const pass&) = delete;

    const workload& work() const noexcept { return work_; }
    unsigned depth() const noexcept { return work_.depth; }
    int fd() const noexcept { return work_.fd; }
    bool more() const noexcept { return left_ != 0; }
    bool unfinished() const noexcept { return unfinished_ != 0; }
    bool timed() const noexcept { return work_.record != nullptr; }
    recorder* record() const noexcept { return work_.record; }

    // Returns the next request, for a place (0 to depth - 1) with nothing in flight. REQUIRES: more()
    op next(std::size_t place) noexcept {
        --left_;
        op const made = make(place);
        places_[place].expected = made.action == action::sync ? 0 : static_cast<std::int64_t>(made.size);
        if (timed()) places_[place].started = now();
        return made;
    }

    // Takes the result of the place's request: bytes, or a negative errno. Any but the expected one ends the program,
    // because other requests are in flight.
    void end(std::size_t place, std::int64_t result) {
        if (result != places_[place].expected) fail(result);
        if (timed()) work_.record->latency.add(now() - places_[place].started);
        --unfinished_;
        if (unfinished_ == work_.requests) work_.measured->begin();
        if (unfinished_ == 0) work_.measured->end();
    }

    // Makes the call that hands requests to the kernel, and records how long it took.
    template <class Call> void submitting(Call call) {
        if (!timed()) return call();
        std::int64_t const start = now();
        call();
        work_.record->stuck.add(now() - start);
    }

private:
    struct in_flight {
        std::int64_t expected;
        std::int64_t started;
    };

    static std::int64_t now() noexcept {
        timespec t;
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }
    [[noreturn]] static void fail(std::int64_t result);

    op make(std::size_t place) noexcept {
        std::byte* const buffer = work_.buffers + place * work_.block_size;
        if (work_.pattern.sync_every != 0 && writes_ == work_.pattern.sync_every) {
            writes_ = 0;
            return {action::sync, 0, buffer, 0};
        }
        state_ ^= state_ << 13; // xorshift64 costs next to nothing
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        bool const reads = (((state_ & 0xffff'ffff) * 100) >> 32) < work_.pattern.reads;
        if (!reads) ++writes_;
        std::uint64_t block = ((state_ >> 32) * work_.blocks) >> 32;
        if (!work_.pattern.random) {
            block = position_;
            if (++position_ == work_.blocks) position_ = 0;
        }
        return {reads ? action::read : action::write, static_cast<std::int64_t>(block * work_.block_size), buffer,
                work_.block_size};
    }

    const workload& work_;
    std::vector<in_flight> places_;
    std::uint64_t state_, position_;
    std::uint64_t left_;       // not yet made
    std::uint64_t unfinished_; // without a result
    unsigned writes_ = 0;      // since the last sync
};

} // namespace bench
