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

// All jobs wait here for the last one. Then the clock starts, and it stops when the last job ends.
class gate final : public meter {
public:
    gate(unsigned jobs, meter* listener) noexcept : jobs_(jobs), listener_(listener) {}

    timing took() const noexcept { return took_; }

    // Called for a job that can't go on, so that the others don't wait for it.
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
        if (listener_) listener_->begin();
        changed_.notify_all();
    }
    void end() override {
        std::lock_guard const hold(lock_);
        if (++ended_ != jobs_) return;
        if (listener_) listener_->end();
        took_.seconds = std::chrono::duration<double>(clock::now() - start_).count();
        rusage after;
        ::getrusage(RUSAGE_SELF, &after);
        took_.user = seconds(after.ru_utime) - seconds(before_.ru_utime);
        took_.system = seconds(after.ru_stime) - seconds(before_.ru_stime);
    }

    unsigned const jobs_;
    meter* const listener_;
    std::mutex lock_;
    std::condition_variable changed_;
    unsigned arrived_ = 0, ended_ = 0;
    bool open_ = false;
    rusage before_{};
    clock::time_point start_;
    timing took_{};
};

} // namespace

job_runner::job_runner(const bench::target& target)
    : target_(target), memory_(target.block_size * target.depth * target.jobs) {
    std::memset(memory_.data(), 1, memory_.size());
}

workload job_runner::work(unsigned job, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed) {
    workload made{};
    made.fd = job == 0 ? target_.fd : (*target_.others)[job - 1].fd();
    made.first_place = target_.blocks / target_.jobs * job;
    made.blocks = target_.blocks;
    made.block_size = target_.block_size;
    made.pattern = target_.pattern;
    made.depth = target_.depth;
    made.ramp = std::max<std::uint64_t>(ramp, 1);
    made.requests = std::max<std::uint64_t>(requests, target_.depth);
    made.seed = (seed + 1) * 0x9e3779b97f4a7c15u + job * 0xbf58476d1ce4e5b9u; // far apart for xorshift
    made.buffers = memory_.data() + std::size_t{target_.depth} * target_.block_size * job;
    return made;
}

std::uint64_t job_runner::most_requests() const noexcept {
    constexpr std::uint64_t no_limit = std::uint64_t{1} << 62;
    return target_.state == state::filled ? no_limit
                                          : std::max<std::uint64_t>(target_.blocks / target_.jobs, 2 * target_.depth);
}

timing job_runner::run(const engine& engine, std::uint64_t ramp, std::uint64_t requests, std::uint64_t seed,
                       recorded what, recorder* record, meter* listener) {
    restore_file();
    gate all(target_.jobs, listener);
    std::vector<recorder> records(record ? target_.jobs : 0);
    std::vector<std::exception_ptr> failures(target_.jobs);
    auto const job = [&](unsigned number) {
        workload mine = work(number, ramp, requests, seed);
        mine.measured = &all;
        if (record) mine.record = &records[number];
        mine.recorded = what;
        try {
            engine.run(mine);
        } catch (...) {
            failures[number] = std::current_exception();
            all.give_up();
        }
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < target_.jobs; ++i) others.emplace_back(job, i);
    job(0);
    for (std::thread& thread : others) thread.join();
    for (const std::exception_ptr& failure : failures)
        if (failure) std::rethrow_exception(failure);
    for (const recorder& mine : records) record->add(mine);
    return all.took();
}

} // namespace bench
