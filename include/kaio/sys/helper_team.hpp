// helper_team: what runs jobs beside the thread of a loop. kaio::helpers has threads for that, kaio::sim::helpers has
// simulated ones, and a team of your own runs jobs wherever they may block:
//     struct inline_team final : kaio::helper_team { … }; // for a test: runs each job in the test's own time
#pragma once

#include <kaio/sys/language.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// A function for a helper. Its owner keeps it until no start of it is left, see helper_team::wait_for.
struct helper_job {
    void (*run)(helper_job& self) noexcept; // may block
    helper_job* next = nullptr;             // the team's, from start until run is called
    unsigned starts = 0;                    // the team's: starts whose run has not ended
};

class helper_team {
public:
    // Any thread. Has job.run(job) called on a helper, once. It does not block. May be called again as soon as that run
    // can't miss what it is called for, and then the two runs may overlap at their ends.
    // Returns false if there is no helper, and none can be had: nothing will run.
    virtual bool start(helper_job& job) noexcept = 0;

    // Any thread but a helper. Blocks until every run of the job has ended.
    virtual void wait_for(helper_job& job) noexcept = 0;

    // Helpers: so many jobs run at once, at most.
    virtual unsigned size() const noexcept = 0;

    // False in a forked child, which has no helpers.
    virtual bool usable() const noexcept = 0;

protected:
    // For classes that are teams.
    helper_team() noexcept = default;
    helper_team(const helper_team&) = default;
    helper_team& operator=(const helper_team&) = default;
    ~helper_team() = default;
};

} // namespace KAIO_BUILD
} // namespace kaio
