// Runs one engine in one or more threads at once, each with its own loop, buffers, seed and, as in fio, its own opening
// of the file: what all share is counted by the kernel for every request, and processors that count together slow one
// another down. Measures from the moment when all have warmed up.
#pragma once

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/file.hpp>

#include "measure.hpp"

namespace bench {

struct timing {
    double seconds;
    double user, system; // seconds of CPU of the whole process
};

class job_runner {
public:
    // Buffers for all jobs, touched so that no page comes into being while the clock runs.
    explicit job_runner(const target& to);

    const target& to() const noexcept { return to_; }

    // `around` is told of the same moments as the clock. Throws what the engine throws.
    timing run(const engine& how, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed,
               recorder* record = nullptr, meter* around = nullptr);

    // One job's work.
    workload work(unsigned job, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed);

private:
    target to_;
    kaio::aligned_buffer memory_;
};

} // namespace bench
