#include "support/catch.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

#include <kaio/kaio.hpp>

using namespace std::chrono_literals;

TEST_CASE("a timer completes after its time, never before, and to the millisecond") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    auto const spin_limit = GENERATE(kaio::duration::zero(), kaio::duration(100us));
    kaio::loop loop(4, {.spin_limit = spin_limit, .setup = {.events = events}});
    std::vector<std::int64_t> late;
    for (int round = 0; round < 20; ++round) {
        std::int64_t const due = kaio::linux_kernel::now() + 3'000'000;
        loop.submit(kaio::after(3ms), [&, due](kaio::io_result r) {
            CHECK(r.res() == 0);
            late.push_back(kaio::linux_kernel::now() - due);
        });
        CHECK(loop.timers() == 1);
        CHECK(loop.run() == 1);
    }
    std::sort(late.begin(), late.end());
    CHECK(late.front() >= 0);
    CHECK(late.front() < 1'000'000); // the best of them: others may take the processor away
}

TEST_CASE("ten thousand timers need no system call each, and come in order while reads go on") {
    test::script script;
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    kaio::basic_loop<test::scripted_kernel> loop(8, {.spin_limit = 0ms}, test::scripted_kernel(script));
    std::vector<int> order;
    std::size_t reads = 0;
    for (int i = 0; i < 10'000; ++i) {
        // In waves of a thousand, each of which is due at once.
        loop.submit(kaio::after(std::chrono::milliseconds(i / 1000)), [&, i](kaio::io_result) {
            order.push_back(i);
            if (i % 100 == 0) loop.submit(kaio::read(file, buffer, 0), [&](kaio::io_result r) { reads += bool(r); });
        });
    }
    CHECK(loop.run() == 10'100);
    CHECK(std::is_sorted(order.begin(), order.end()));
    CHECK(order.size() == 10'000);
    CHECK(reads == 100);
    CHECK(script.waits < 200);
}

TEST_CASE("a timer can be cancelled, once") {
    kaio::loop loop(4);
    std::vector<std::int64_t> results;
    auto const note = [&](kaio::io_result r) { results.push_back(r.res()); };
    kaio::owned_operation<decltype(note)> timer(note);
    loop.submit(kaio::after(kaio::duration()), timer);
    CHECK(loop.cancel(timer));
    CHECK(loop.cancel(timer).error().value() == EINVAL);
    CHECK(loop.run() == 1);
    CHECK(results == std::vector<std::int64_t>{-ECANCELED});
    loop.submit(kaio::after(0ms), timer); // and may be used again
    CHECK(loop.run() == 1);
    CHECK(results.back() == 0);
}

TEST_CASE("run_for ends before a timer that is due later, and destroying the loop cancels it") {
    std::vector<std::int64_t> results;
    {
        kaio::loop loop(4);
        loop.submit(kaio::after(1h), [&](kaio::io_result r) { results.push_back(r.res()); });
        CHECK(loop.run_for(2ms) == 0);
        CHECK(loop.timers() == 1);
    }
    CHECK(results == std::vector<std::int64_t>{-ECANCELED});
}

TEST_CASE("timers complete while reads keep the loop busy") {
    test::temporary_file file(4096);
    std::vector<char> buffer(512);
    kaio::loop loop(4);
    bool expired = false;
    struct reader {
        kaio::loop& loop;
        kaio::request what;
        bool& stop;
        void operator()(kaio::io_result) const {
            if (!stop) loop.submit(what, *this);
        }
    };
    static_assert(sizeof(reader) > 48, "large handlers too");
    loop.submit(kaio::read(file, buffer, 0), reader{loop, kaio::read(file, buffer, 0), expired});
    loop.submit(kaio::after(5ms), [&](kaio::io_result) { expired = true; });
    loop.run();
    CHECK(expired);
}
