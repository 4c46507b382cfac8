// helpers: simulated helpers, for testing a program whose loop has helpers. What blocks keeps one of them, in virtual
// time, and the loop goes on:
//     kaio::sim::world world(seed, {.blocking = 0.1});
//     kaio::sim::helpers helpers(world, 2);
//     kaio::basic_loop<kaio::sim::kernel> loop(32, helpers, {}, world);
// Include kaio/loop/helpers.hpp too: it has what such a loop is made of.
#pragma once

#include <kaio/sys/language.hpp>

#include <cassert>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <kaio/sim/detail/fiber.hpp>
#include <kaio/sim/world.hpp>
#include <kaio/sys/helper_team.hpp>

namespace kaio::inline KAIO_BUILD::sim {

// A job waits until one of so many helpers is free, first in, first out. A helper that sleeps needs some microseconds,
// drawn for each job. Each helper has a call stack of its own, which is a thread. But only one thread
// runs at a time, and the seed determines which, and when. World, helpers and loops belong to one thread as ever.
class helpers final : public helper_team {
public:
    // `count`: 1 or more. The world must outlive it. Allocates.
    explicit helpers(world& world, unsigned count = 1) : world_(world), size_(count) {}
    helpers(const helpers&) = delete;
    helpers& operator=(const helpers&) = delete;

    // REQUIRES: the loops that use it are destroyed
    ~helpers() {
        ending_ = true;
        for (auto& each : helpers_) {
            assert(!each->busy && "kaio: simulated helpers were destroyed before a loop that uses them");
            world_.forget(each->fiber);
            world_.resume(each->fiber);
        }
    }

    // Errors: throws std::system_error, which ends the program, if there is no thread.
    bool start(helper_job& job) noexcept override {
        ++job.starts;
        jobs_.push_back(&job);
        if (helper* const free = sleeping()) {
            free->awake = true;
            world_.resume_in(free->fiber, world_.random().between(least_wake, most_wake));
        }
        return true;
    }

    // Lets virtual time pass.
    void wait_for(helper_job& job) noexcept override {
        while (job.starts != 0) world_.pass_to(world_.next_);
    }

    unsigned size() const noexcept override { return size_; }
    bool usable() const noexcept override { return true; }

private:
    static constexpr std::int64_t least_wake = 1000, most_wake = 50'000; // nanoseconds

    struct helper {
        explicit helper(helpers& team) : fiber([this, &team] { team.work(*this); }) {}

        bool awake = false; // it looks for a job, or is about to
        bool busy = false;  // it has one
        detail::fiber fiber;
    };

    // One that sleeps, or a new one, or null.
    helper* sleeping() {
        for (auto& each : helpers_)
            if (!each->awake) return each.get();
        if (helpers_.size() == size_) return nullptr;
        helpers_.push_back(std::make_unique<helper>(*this));
        return helpers_.back().get();
    }

    // What a helper does, on its own stack.
    void work(helper& self) noexcept {
        while (!ending_) {
            while (!jobs_.empty()) {
                helper_job& job = *jobs_.front();
                jobs_.pop_front();
                self.busy = true;
                job.run(job);
                world_.stay(0);
                self.busy = false;
                --job.starts;
            }
            self.awake = false;
            self.fiber.pause();
        }
    }

    world& world_;
    unsigned size_;
    bool ending_ = false;
    std::deque<helper_job*> jobs_{}; // started, and no helper has them
    std::vector<std::unique_ptr<helper>> helpers_{};
};

} // namespace kaio::sim
