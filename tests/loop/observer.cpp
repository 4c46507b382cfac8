#include "loop/loops.hpp"
#include "support/catch.hpp"
#include "support/silent_eventfd.hpp"
#include "support/temporary_file.hpp"

#include <chrono>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

namespace {
using counted_loop = kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>;

struct turn_counters : kaio::loop_counters {
    int ends = 0, begins = 0;
    void on_turn_end() noexcept { ++ends; }
    void on_turn_begin() noexcept { ++begins; }
};
} // namespace

TEST_CASE("counters count what the loop does, for those who ask for them") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    counted_loop loop(8, test::reaped_by(kaio::reaping::ring));
    for (int i = 0; i < 20; ++i) loop.submit(kaio::read(file, buffer, 0), [](kaio::io_result) {});
    loop.run();
    kaio::loop_counters const& counted = loop.observer();
    CHECK(counted.submissions == 20);
    CHECK(counted.completions == 20);
    CHECK(counted.batches == 3);
    CHECK(counted.waits == 0);
    CHECK(counted.completed_inside == 20); // tmpfs
    CHECK(counted.submit_ns > 0);
    CHECK(counted.longest_submit_ns <= counted.submit_ns);
    CHECK(sizeof(kaio::loop) + sizeof(kaio::loop_counters) <= sizeof(counted_loop) + 8);

    test::silent_eventfd silent;
    loop.submit(kaio::poll(silent.fd, POLLIN), [](kaio::io_result) {});
    do loop.run_for(20ms); // if this thread gets no processor for so long, there is no wait
    while (counted.waits == 0);
    CHECK(counted.waits == 1);
}

TEST_CASE("an observer may hear of turns: none has a wait in it, and none has more than one round of handlers") {
    test::temporary_file file(4096);
    std::vector<char> buffer(64);
    kaio::basic_loop<kaio::linux_kernel, turn_counters> loop(8, test::reaped_by(kaio::reaping::ring));
    turn_counters const& counted = loop.observer();
    for (int i = 0; i < 20; ++i)
        loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result) { CHECK(counted.ends == counted.begins); });
    loop.run(); // in three rounds: see above
    CHECK(counted.waits == 0);
    CHECK(counted.ends == 3);
    CHECK(counted.begins == 3);

    test::silent_eventfd silent;
    loop.submit(kaio::poll(silent.fd, POLLIN), [](kaio::io_result) {});
    loop.run_for(20ms);
    CHECK(counted.waits == 1);
    CHECK(counted.ends >= 4);
    CHECK(counted.ends == counted.begins);
    int const before = counted.ends;
    loop.poll();
    CHECK(counted.ends == before);
}
