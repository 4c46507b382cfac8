// Runs one engine in one or more threads at once, and measures from the moment when all have warmed up. Each thread has
// its own loop, buffers and seed and, as in fio, its own opening of the file. The kernel counts the users of an opening
// for each request, and processors that share a count slow one another down.
#pragma once

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/file.hpp>

#include "measure.hpp"

namespace bench {

struct timing {
    double seconds;
    double user, system; // CPU seconds of the whole process
};

class job_runner {
public:
    // Allocates buffers for all jobs, and touches them: no page is made while the clock runs.
    explicit job_runner(const bench::target& target);

    const bench::target& target() const noexcept { return target_; }

    // Restores the file's state first. `what` is recorded in `record`. `listener` is told of the same moments as the
    // clock. Throws what the engine throws.
    timing run(const engine& engine, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed,
               recorded what = recorded::nothing, recorder* record = nullptr, meter* listener = nullptr);

    // Requests of a job in a run, at most: more would find blocks that the run itself has written or read.
    std::uint64_t most_requests() const noexcept;

    void restore_file() const { restore(target_.fd, target_.state, target_.blocks * target_.block_size); }

    // Returns one job's work.
    workload work(unsigned job, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed);

private:
    bench::target target_;
    kaio::aligned_buffer memory_;
};

} // namespace bench
