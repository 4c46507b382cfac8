// A team of helpers whose jobs run when the test says so, on the test's own thread.
#pragma once

#include <deque>

#include <kaio/sys/helper_team.hpp>

namespace test {

class stepped_team final : public kaio::helper_team {
public:
    explicit stepped_team(unsigned helpers = 1) : size_(helpers) {}

    bool works = true; // false: it has no helper, and start says so

    bool start(kaio::helper_job& job) noexcept override {
        if (!works) return false;
        ++job.starts;
        jobs_.push_back(&job);
        return true;
    }
    // What is left runs now.
    void wait_for(kaio::helper_job& job) noexcept override {
        while (job.starts != 0) step();
    }
    unsigned size() const noexcept override { return size_; }
    bool usable() const noexcept override { return true; }

    std::size_t jobs() const { return jobs_.size(); } // that wait
    void step() {
        kaio::helper_job& job = *jobs_.front();
        jobs_.pop_front();
        job.run(job);
        --job.starts;
    }

private:
    unsigned size_;
    std::deque<kaio::helper_job*> jobs_;
};

} // namespace test
