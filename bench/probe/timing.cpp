#include "timing.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>

#include <kaio/loop/helpers.hpp>
#include <kaio/loop/loop.hpp>
#include <kaio/loop/observer.hpp>

namespace probe {
namespace {

std::int64_t cpu_time() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

struct switches {
    long slept, preempted;
};
switches context_switches() noexcept {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return {usage.ru_nvcsw, usage.ru_nivcsw};
}

double microseconds(std::int64_t ns) noexcept { return static_cast<double>(ns) / 1000; }

// Times one request. Returns an error, or "".
std::string once(kaio::context& context, kaio::iocb block, std::size_t bytes, sample& out) {
    kaio::iocb* batch[] = {&block};
    kaio::io_event event[1];
    switches const before = context_switches();
    std::int64_t const worked = cpu_time(), started = kaio::linux_kernel::now();
    kaio::submission const answer = context.submit(batch);
    bool const done = context.reap(event) == 1; // only looks at the ring
    std::int64_t const returned = kaio::linux_kernel::now(), work = cpu_time() - worked;
    switches const after = context_switches();
    if (!answer) return "refused by io_submit: " + answer.error().message();
    // The wait sleeps at once: spinning would keep the processor from the kernel's threads that do the work.
    while (!done && !context.wait(event)) continue; // a signal
    std::int64_t const completed = done ? returned : kaio::linux_kernel::now();

    bool const preempted = after.preempted != before.preempted;
    out.slept = after.slept != before.slept;
    out.inside = done;
    out.unclear = done && preempted && !out.slept;
    std::int64_t const inside = returned - started;
    out.submit = microseconds(preempted && !out.slept ? std::min(inside, work) : inside);
    out.complete = microseconds(completed - started);
    kaio::io_result const result(event[0].res);
    if (!result) return "failed: " + result.error().message();
    if (result.bytes() != bytes) return fmt::format("transferred {} of {} bytes", result.bytes(), bytes);
    return {};
}

// Watches the turns of a loop.
struct turn_watch : kaio::loop_counters {
    std::int64_t began = 0, longest = 0; // ns
    long slept_before = 0, slept = 0;

    void on_turn_begin() noexcept {
        slept_before = context_switches().slept;
        began = kaio::linux_kernel::now();
    }
    void on_turn_end() noexcept {
        longest = std::max(longest, kaio::linux_kernel::now() - began);
        slept += context_switches().slept - slept_before;
    }
    std::uint64_t by_helpers() const noexcept { return would_block + known_to_block + no_nowait; }
};

} // namespace

timing measure(kaio::context& context, const operation& operation, effort limits) {
    timing failed;
    failed.error = operation.error;
    if (!failed.error.empty()) return failed;
    std::vector<sample> samples;
    std::int64_t const end = kaio::linux_kernel::now() + static_cast<std::int64_t>(limits.seconds * 1e9);
    for (unsigned n = 0; n < limits.repetitions; ++n) {
        if (n > few && kaio::linux_kernel::now() > end) break;
        if (operation.prepare) operation.prepare(n);
        sample s{};
        failed.error = once(context, operation.make(n), operation.bytes, s);
        if (!failed.error.empty()) return failed;
        if (n > 0) samples.push_back(s); // the first one warms up
    }
    return judge(samples, operation.bytes);
}

helped measure_with_helpers(const operation& operation, effort limits) {
    kaio::helpers helpers;
    // Spinning would keep the processor from the kernel's threads that do the work.
    kaio::basic_loop<kaio::linux_kernel, turn_watch> loop(1, helpers, {.spin_limit = kaio::duration::zero()});
    turn_watch& watch = loop.observer();
    helped made;
    std::vector<double> longest;
    std::uint64_t helped_before = 0;
    double slept = 0;
    std::int64_t const end = kaio::linux_kernel::now() + static_cast<std::int64_t>(limits.seconds * 1e9);
    for (unsigned n = 0; n < limits.repetitions; ++n) {
        if (n > few && kaio::linux_kernel::now() > end) break;
        if (operation.prepare) operation.prepare(n);
        if (n == 1) helped_before = watch.by_helpers(); // the first one warms up
        watch.longest = watch.slept = 0;
        watch.on_turn_begin();
        kaio::io_result result(0);
        loop.submit(operation.make(n), [&](kaio::io_result r) { result = r; });
        loop.run();
        watch.on_turn_end();
        if (!result) made.error = "failed: " + result.error().message();
        if (result && result.bytes() != operation.bytes)
            made.error = fmt::format("transferred {} of {} bytes", result.bytes(), operation.bytes);
        if (!made.error.empty()) return made;
        if (n == 0) continue;
        longest.push_back(microseconds(watch.longest));
        slept += watch.slept != 0;
    }
    auto const count = static_cast<double>(longest.size());
    made.by_helper = static_cast<double>(watch.by_helpers() - helped_before) / count;
    made.slept = slept / count;
    auto const middle = longest.begin() + static_cast<std::ptrdiff_t>(longest.size() / 2);
    std::nth_element(longest.begin(), middle, longest.end());
    made.stuck = *middle;
    return made;
}

} // namespace probe
