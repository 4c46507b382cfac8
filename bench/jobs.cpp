#include "jobs.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include <sys/resource.h>

namespace bench {
namespace {

using clock = std::chrono::steady_clock;

double seconds(timeval t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; }

// All jobs wait here for the last one; then the clock starts. It stops when the last one ends.
class gate final : public meter {
public:
    gate(unsigned jobs, meter* around) noexcept : jobs_(jobs), around_(around) {}

    timing took() const noexcept { return took_; }

    // A job that can't go on: the others must not wait for it.
    void give_up() {
        std::lock_guard const hold(lock_);
        open_ = true;
        changed_.notify_all();
    }

private:
    void begin() override {
        std::unique_lock hold(lock_);
        if (++arrived_ != jobs_) {
            changed_.wait(hold, [&] { return open_; });
            return;
        }
        open_ = true;
        ::getrusage(RUSAGE_SELF, &before_);
        start_ = clock::now();
        if (around_) around_->begin();
        changed_.notify_all();
    }
    void end() override {
        std::lock_guard const hold(lock_);
        if (++ended_ != jobs_) return;
        if (around_) around_->end();
        took_.seconds = std::chrono::duration<double>(clock::now() - start_).count();
        rusage after;
        ::getrusage(RUSAGE_SELF, &after);
        took_.user = seconds(after.ru_utime) - seconds(before_.ru_utime);
        took_.system = seconds(after.ru_stime) - seconds(before_.ru_stime);
    }

    unsigned const jobs_;
    meter* const around_;
    std::mutex lock_;
    std::condition_variable changed_;
    unsigned arrived_ = 0, ended_ = 0;
    bool open_ = false;
    rusage before_{};
    clock::time_point start_;
    timing took_{};
};

} // namespace

job_runner::job_runner(const target& to) : to_(to), memory_(to.block_size * to.depth * to.jobs) {
    std::memset(memory_.data(), 1, memory_.size());
}

workload job_runner::work(unsigned job, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed) {
    workload made{};
    made.fd = job == 0 ? to_.fd : (*to_.others)[job - 1].fd();
    made.first_block = to_.blocks / to_.jobs * job;
    made.blocks = to_.blocks;
    made.block_size = to_.block_size;
    made.what = to_.what;
    made.depth = to_.depth;
    made.ramp = std::max<std::uint64_t>(ramp, 1);
    made.requests = std::max<std::uint64_t>(requests, to_.depth);
    made.seed = (seed + 1) * 0x9e3779b97f4a7c15u + job * 0xbf58476d1ce4e5b9u; // far apart for xorshift
    made.buffers = memory_.data() + std::size_t{to_.depth} * to_.block_size * job;
    return made;
}

timing job_runner::run(const engine& how, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed,
                       recorder* record, meter* around) {
    gate all(to_.jobs, around);
    std::vector<recorder> records(record ? to_.jobs : 0);
    std::vector<std::exception_ptr> failures(to_.jobs);
    auto const job = [&](unsigned number) {
        workload mine = work(number, ramp, requests, seed);
        mine.measured = &all;
        if (record) mine.record = &records[number];
        try {
            how.run(mine);
        } catch (...) {
            failures[number] = std::current_exception();
            all.give_up();
        }
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < to_.jobs; ++i) others.emplace_back(job, i);
    job(0);
    for (std::thread& thread : others) thread.join();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
    for (const recorder& mine : records) {
        record->latency.add(mine.latency);
        record->stuck.add(mine.stuck);
    }
    return all.took();
}

} // namespace bench
