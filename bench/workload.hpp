// The work that every engine does: the same requests, in the same order from the same seed. A pass over them knows
// which request is in flight at which place, how many are left, and what is measured.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <numeric>
#include <vector>

#include <sys/resource.h>

#include "histogram.hpp"

namespace bench {

enum class action : unsigned char { read, write, sync };

// Which block comes next.
enum class order : unsigned char {
    sequential,
    random,
    scattered, // each block once, far from the one before
};

struct pattern {
    bench::order order = order::random;
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

// What a pass records beside its duration. Only one thing at a time, because looking takes time too.
enum class recorded : unsigned char { nothing, latency, turns };

// In a turn an engine's thread hands over what is ready, takes results and makes the next requests. A wait for results
// ends a turn, and another begins after it. Where there is no need to wait, one follows the other. Turns that begin
// before the measuring are left out.
struct recorder {
    static constexpr std::int64_t for_a_request = 5'000; // ns

    histogram latency;        // ns from making a request to having its result
    histogram stuck;          // ns that a turn took
    histogram beyond;         // ns of it beyond for_a_request, for each request that was handed over in it
    histogram late;           // ns that a timer of 1 ms was late, in an engine that has timers
    std::uint64_t sleeps = 0; // voluntary context switches inside turns: the thread waited for something there

    void add(const recorder& other) noexcept {
        latency.add(other.latency);
        stuck.add(other.stuck);
        beyond.add(other.beyond);
        late.add(other.late);
        sleeps += other.sleeps;
    }
};

struct workload {
    int fd;
    std::uint64_t first_place; // in the order of the blocks, where this job starts
    std::uint64_t blocks;      // in the file, below 2^32
    std::size_t block_size;
    bench::pattern pattern;
    unsigned depth;
    std::uint64_t ramp;     // requests before the measured ones, at least 1
    std::uint64_t requests; // measured ones, at least depth
    std::uint64_t seed;     // not 0
    std::byte* buffers;     // depth × block_size, aligned
    meter* measured;
    bench::recorded recorded = recorded::nothing;
    recorder* record = nullptr; // for what is recorded
};

class pass {
public:
    explicit pass(const workload& work)
        : work_(work), places_(work.depth), state_(work.seed),
          step_(work.pattern.order == order::scattered ? step(work.blocks) : 1),
          next_block_(work.first_place * step_ % work.blocks), left_(work.ramp + work.requests), unfinished_(left_) {
        begin_turn();
    }
    pass(const pass&) = delete;
    pass& operator=(const pass&) = delete;

    const workload& work() const noexcept { return work_; }
    unsigned depth() const noexcept { return work_.depth; }
    int fd() const noexcept { return work_.fd; }
    bool more() const noexcept { return left_ != 0; }
    bool unfinished() const noexcept { return unfinished_ != 0; }
    // True from the end of warming up to the last result.
    bool measuring() const noexcept { return unfinished_ <= work_.requests && unfinished_ != 0; }
    bool records_turns() const noexcept { return work_.recorded == recorded::turns; }

    // Returns the next request, for a place (0 to depth - 1) with nothing in flight. REQUIRES: more()
    op next(std::size_t place) noexcept {
        --left_;
        op const made = make(place);
        places_[place].expected = made.action == action::sync ? 0 : static_cast<std::int64_t>(made.size);
        if (records_latency()) places_[place].started = now();
        return made;
    }

    // Takes the result of the place's request: bytes, or a negative errno. Any but the expected one ends the program,
    // because other requests are in flight.
    void end(std::size_t place, std::int64_t result) {
        if (result != places_[place].expected) fail(result);
        if (records_latency() && measuring()) work_.record->latency.add(now() - places_[place].started);
        --unfinished_;
        if (unfinished_ == work_.requests) work_.measured->begin();
        if (unfinished_ == 0) work_.measured->end();
    }

    // The kernel, or another thread, was given so many requests.
    void handed_over(std::uint64_t count) noexcept { turn_.requests += count; }

    // Makes the call that waits for results.
    template <class Wait> auto waiting(Wait wait) {
        end_turn();
        auto const result = wait();
        begin_turn();
        return result;
    }
    void end_turn() noexcept {
        if (!turn_.counts) return;
        std::int64_t const took = now() - turn_.began;
        std::int64_t const allowed = recorder::for_a_request * static_cast<std::int64_t>(turn_.requests);
        work_.record->stuck.add(took);
        work_.record->beyond.add(took - allowed);
        work_.record->sleeps += static_cast<std::uint64_t>(context_switches() - turn_.switches);
    }
    void begin_turn() noexcept {
        turn_.counts = records_turns() && measuring();
        if (!turn_.counts) return;
        turn_.requests = 0;
        turn_.switches = context_switches();
        turn_.began = now();
    }
    void timer_was_late(std::int64_t ns) noexcept {
        if (measuring()) work_.record->late.add(ns);
    }

    static std::int64_t now() noexcept {
        timespec t;
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }

private:
    struct in_flight {
        std::int64_t expected;
        std::int64_t started;
    };

    struct turn {
        bool counts = false;
        std::uint64_t requests = 0; // that were handed over
        long switches;              // of the thread, when it began
        std::int64_t began;         // ns
    };

    bool records_latency() const noexcept { return work_.recorded == recorded::latency; }

    // Of this thread, those that it made itself because it had to wait.
    static long context_switches() noexcept {
        rusage usage;
        ::getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nvcsw;
    }

    // Returns a number of blocks that leads to each of them when it is taken again and again.
    static std::uint64_t step(std::uint64_t blocks) noexcept {
        std::uint64_t made = blocks / 8 * 5 | 1;
        while (std::gcd(made, blocks) != 1) ++made;
        return made % blocks;
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
        if (work_.pattern.order != order::random) {
            block = next_block_;
            next_block_ += step_;
            if (next_block_ >= work_.blocks) next_block_ -= work_.blocks;
        }
        return {reads ? action::read : action::write, static_cast<std::int64_t>(block * work_.block_size), buffer,
                work_.block_size};
    }

    const workload& work_;
    std::vector<in_flight> places_;
    std::uint64_t state_;
    std::uint64_t const step_; // in blocks, where they come in an order
    std::uint64_t next_block_;
    std::uint64_t left_;       // not yet made
    std::uint64_t unfinished_; // without a result
    unsigned writes_ = 0;      // since the last sync
    turn turn_{};
};

} // namespace bench
