#include "measure.hpp"

#include <algorithm>
#include <csignal>
#include <exception>
#include <stdexcept>

#include <fmt/format.h>

#include "jobs.hpp"
#include "system_calls.hpp"

namespace bench {
namespace {

struct candidate {
    row made;
    std::uint64_t ramp = 1;
    std::vector<timing> rounds = {};
};

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
    return set;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// Returns the median of f(round) over the rounds.
template <class F> double median_of(std::size_t rounds, F f) {
    std::vector<double> values;
    for (std::size_t i = 0; i < rounds; ++i) values.push_back(f(i));
    return median(std::move(values));
}

// Returns the ratio of the fastest round to the slowest. Of five or more rounds these two are left out, because they do
// not move the median.
double spread_of(std::vector<double> rates) {
    std::sort(rates.begin(), rates.end());
    std::size_t const extremes = rates.size() >= 5 ? 1 : 0;
    return rates[rates.size() - 1 - extremes] / rates[extremes];
}

// Finds how many requests of this engine take as long as the plan wants, and warms up by that.
void calibrate(candidate& subject, const plan& plan, job_runner& runner) {
    std::uint64_t const most = runner.most_requests() / 2; // half may be for warming up
    std::uint64_t const enough = std::min<std::uint64_t>(most, 50'000'000);
    // Far more than are taken at once, because the clock starts at one of them.
    std::uint64_t const fewest = std::min<std::uint64_t>(most, 16 * runner.target().depth);
    std::uint64_t requests = fewest;
    for (;;) {
        stop_if_asked();
        auto const once = [&] { return runner.run(*subject.made.engine, requests / 4, requests, plan.seed).seconds; };
        double took = once();
        if (took >= plan.seconds / 4) took = std::min(took, once()); // something else may have delayed the first
        if (took >= plan.seconds / 4 || requests >= enough) {
            double const per_second =
                static_cast<double>(std::max<std::uint64_t>(requests, runner.target().depth)) / took;
            auto const in_time = static_cast<std::uint64_t>(per_second * plan.seconds);
            subject.made.requests = plan.requests != 0
                                        ? std::clamp<std::uint64_t>(plan.requests, runner.target().depth, most)
                                        : std::clamp(in_time, fewest, most);
            subject.ramp = std::min(static_cast<std::uint64_t>(per_second * plan.ramp) + 1, most);
            return;
        }
        requests = std::min(enough, requests * (took < plan.seconds / 32 ? 8 : 2));
    }
}

void summarize(candidate& subject, const candidate* measure_by, unsigned jobs) {
    row& made = subject.made;
    auto const n = static_cast<double>(made.requests * jobs);
    for (timing const& round : subject.rounds) made.rates.push_back(n / round.seconds);
    made.rate = median(made.rates);
    made.spread = spread_of(made.rates);
    made.user = median_of(subject.rounds.size(), [&](std::size_t i) { return subject.rounds[i].user * 1e6 / n; });
    made.system = median_of(subject.rounds.size(), [&](std::size_t i) { return subject.rounds[i].system * 1e6 / n; });
    if (measure_by)
        made.ratio =
            median_of(subject.rounds.size(), [&](std::size_t i) { return made.rates[i] / measure_by->made.rates[i]; });
}

} // namespace

void hold_signals() {
    sigset_t const set = stop_signals();
    sigprocmask(SIG_BLOCK, &set, nullptr);
}

void stop_if_asked() {
    sigset_t pending;
    sigpending(&pending);
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
        if (sigismember(&pending, signal) == 1) throw interrupted{signal};
}

void run_alone(const engine& engine, const target& target, std::uint64_t requests, std::uint64_t seed) {
    if (!engine.missing.empty()) throw std::runtime_error(engine.name + ": " + engine.missing);
    job_runner(target).run(engine, 1, requests, seed);
}

std::vector<row> measure(const plan& plan, const target& target,
                         const std::function<void(const std::string&)>& progress) {
    std::vector<candidate> all;
    job_runner runner(target);
    for (const engine* engine : plan.engines) {
        if (target.depth > engine->deepest) continue;
        progress("warming up " + engine->name);
        candidate& subject = all.emplace_back();
        subject.made.engine = engine;
        subject.made.depth = target.depth;
        subject.made.jobs = target.jobs;
        subject.made.why_not = engine->missing;
        if (!subject.made.why_not.empty()) continue;
        try {
            calibrate(subject, plan, runner);
        } catch (const std::exception& refused) {
            subject.made.why_not = refused.what();
        }
    }

    auto const each = [&](const std::string& text, auto&& f) {
        for (candidate& subject : all)
            if (subject.made.why_not.empty()) {
                progress(fmt::format("{}: {}", text, subject.made.engine->name));
                stop_if_asked();
                f(subject);
            }
    };
    for (unsigned round = 1; round <= plan.rounds; ++round)
        each(fmt::format("round {} of {}", round, plan.rounds), [&](candidate& subject) {
            subject.rounds.push_back(
                runner.run(*subject.made.engine, subject.ramp, subject.made.requests, plan.seed + round));
        });
    auto const record = [&](const char* text, unsigned rounds, recorded what) {
        for (unsigned round = 1; round <= rounds; ++round)
            each(text, [&](candidate& subject) {
                runner.run(*subject.made.engine, subject.ramp, subject.made.requests, plan.seed + round, what,
                           &subject.made.times);
            });
    };
    record("latencies", plan.latency_rounds, recorded::latency);
    record("turns", plan.turn_rounds, recorded::turns);
    each("system calls", [&](candidate& subject) {
        subject.made.calls = count_system_calls(*subject.made.engine, runner, subject.made.requests);
    });

    auto const found = std::find_if(all.begin(), all.end(), [](const candidate& c) {
        return c.made.engine->name == yardstick && c.made.why_not.empty();
    });
    // The yardstick's rates come first, because the others are compared with them.
    if (found != all.end()) summarize(*found, nullptr, target.jobs);
    std::vector<row> rows;
    for (candidate& subject : all) {
        if (subject.made.why_not.empty()) {
            if (found == all.end() || &subject != &*found)
                summarize(subject, found == all.end() ? nullptr : &*found, target.jobs);
            else
                subject.made.ratio = 1;
        }
    }
    for (candidate& subject : all) rows.push_back(std::move(subject.made));
    return rows;
}

} // namespace bench
