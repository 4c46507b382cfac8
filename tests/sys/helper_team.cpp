#include "support/catch.hpp"
#include "support/stepped_team.hpp"

#include <kaio/sys/helper_team.hpp>

namespace {

struct counting_job : kaio::helper_job {
    counting_job() : helper_job{&count} {}
    static void count(kaio::helper_job& self) noexcept { ++static_cast<counting_job&>(self).runs; }
    int runs = 0;
};

} // namespace

TEST_CASE("a job runs once for each start, and its owner can wait until no run is left") {
    test::stepped_team team;
    kaio::helper_team& helpers = team;
    counting_job job;
    REQUIRE(helpers.start(job));
    CHECK(job.runs == 0);
    team.step();
    CHECK(job.runs == 1);
    REQUIRE(helpers.start(job));
    helpers.wait_for(job);
    CHECK(job.runs == 2);
    CHECK(job.starts == 0);
}

TEST_CASE("a team without helpers says so, and runs nothing") {
    test::stepped_team team;
    team.works = false;
    counting_job job;
    CHECK_FALSE(team.start(job));
    CHECK(job.runs == 0);
    CHECK(team.jobs() == 0);
}
