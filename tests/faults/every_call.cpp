#include "scenarios.hpp"

using namespace faults;

TEMPLATE_TEST_CASE("every error of every call, at every call: ", "", batch, bad_member_at_each_place,
                   nothing_but_bad_members, more_than_the_capacity, owned_operations, handlers_that_submit,
                   handlers_too_large_for_the_slab, polls, one_at_a_time, timers, posts, whole_transfers, cancels,
                   coroutines, destroyed_with_everything_in_it) {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    CHECK(at_every_call<TestType, simulated_machine>(events) > 15);
}

TEMPLATE_TEST_CASE("every error of every call, at every call, where requests block and the loop has helpers: ", "",
                   batch, bad_member_at_each_place, nothing_but_bad_members, more_than_the_capacity, owned_operations,
                   handlers_that_submit, handlers_too_large_for_the_slab, polls, one_at_a_time, timers, posts,
                   whole_transfers, cancels, coroutines, destroyed_with_everything_in_it) {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    CHECK(at_every_call<TestType, blocking_machine>(events) > 15);
}

TEST_CASE("every error of every call, at every call, on the real kernel for some scenarios") {
    // Destroying a context takes 30 ms, so only the scenarios with the most to lose run here.
    CHECK(at_every_call<batch, real_machine>(kaio::reaping::syscall) > 15);
    at_every_call<posts_from_another_thread, real_machine>(kaio::reaping::ring);
    CHECK(at_every_call<driven_by_a_notifier, real_machine>(kaio::reaping::syscall) > 15);
    CHECK(at_every_call<destroyed_with_everything_in_it, real_machine>(kaio::reaping::ring) > 15);
}
