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

// `f` of each round, and the median of that.
template <class F> double median_of(std::size_t rounds, F f) {
    std::vector<double> values;
    for (std::size_t i = 0; i < rounds; ++i) values.push_back(f(i));
    return median(std::move(values));
}

// The fastest to the slowest, of five or more without these two: what a median does not mind is no noise.
double spread_of(std::vector<double> rates) {
    std::sort(rates.begin(), rates.end());
    std::size_t const extremes = rates.size() >= 5 ? 1 : 0;
    return rates[rates.size() - 1 - extremes] / rates[extremes];
}

// How many requests of this engine take so long as the plan wants. It is its own warming up, too.
void calibrate(candidate& who, const plan& what, job_runner& runner) {
    constexpr std::uint64_t most = 50'000'000;
    std::uint64_t requests = 64;
    for (;;) {
        stop_if_asked();
        double const took = runner.run(*who.made.how, requests / 4, requests, what.seed).seconds;
        if (took >= what.seconds / 4 || requests >= most) {
            double const per_second = static_cast<double>(std::max<std::uint64_t>(requests, runner.to().depth)) / took;
            who.made.requests =
                what.requests != 0 ? what.requests : static_cast<std::uint64_t>(per_second * what.seconds);
            who.made.requests = std::max<std::uint64_t>(who.made.requests, runner.to().depth);
            who.ramp = static_cast<std::uint64_t>(per_second * what.ramp) + 1;
            return;
        }
        requests *= took < what.seconds / 32 ? 8 : 2;
    }
}

void summarize(candidate& who, const candidate* measure_by, unsigned jobs) {
    row& made = who.made;
    auto const n = static_cast<double>(made.requests * jobs);
    for (timing const& round : who.rounds) made.rates.push_back(n / round.seconds);
    made.rate = median(made.rates);
    made.spread = spread_of(made.rates);
    made.user = median_of(who.rounds.size(), [&](std::size_t i) { return who.rounds[i].user * 1e6 / n; });
    made.system = median_of(who.rounds.size(), [&](std::size_t i) { return who.rounds[i].system * 1e6 / n; });
    if (measure_by)
        made.ratio =
            median_of(who.rounds.size(), [&](std::size_t i) { return made.rates[i] / measure_by->made.rates[i]; });
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

void run_alone(const engine& how, const target& to, std::uint64_t requests, std::uint64_t seed) {
    if (!how.missing.empty()) throw std::runtime_error(how.name + ": " + how.missing);
    job_runner(to).run(how, 1, requests, seed);
}

std::vector<row> measure(const plan& what, const target& to, const std::function<void(const std::string&)>& progress) {
    std::vector<candidate> all;
    job_runner runner(to);
    for (const engine* how : what.engines) {
        if (to.depth > how->deepest) continue;
        progress("warming up " + how->name);
        candidate& who = all.emplace_back();
        who.made.how = how;
        who.made.depth = to.depth;
        who.made.jobs = to.jobs;
        who.made.why_not = how->missing;
        if (!who.made.why_not.empty()) continue;
        try {
            calibrate(who, what, runner);
        } catch (const std::exception& refused) {
            who.made.why_not = refused.what();
        }
    }

    auto const each = [&](const std::string& text, auto&& f) {
        for (candidate& who : all)
            if (who.made.why_not.empty()) {
                progress(fmt::format("{}: {}", text, who.made.how->name));
                stop_if_asked();
                f(who);
            }
    };
    for (unsigned round = 1; round <= what.rounds; ++round)
        each(fmt::format("round {} of {}", round, what.rounds), [&](candidate& who) {
            who.rounds.push_back(runner.run(*who.made.how, who.ramp, who.made.requests, what.seed + round));
        });
    for (unsigned round = 1; round <= what.latency_rounds; ++round)
        each("latencies", [&](candidate& who) {
            runner.run(*who.made.how, who.ramp, who.made.requests, what.seed + round, &who.made.times);
        });
    each("system calls",
         [&](candidate& who) { who.made.calls = count_system_calls(*who.made.how, runner, who.made.requests); });

    auto const found = std::find_if(all.begin(), all.end(), [](const candidate& c) {
        return c.made.how->name == yardstick && c.made.why_not.empty();
    });
    // The yardstick's own rates are there before any is compared with them.
    if (found != all.end()) summarize(*found, nullptr, to.jobs);
    std::vector<row> rows;
    for (candidate& who : all) {
        if (who.made.why_not.empty()) {
            if (found == all.end() || &who != &*found)
                summarize(who, found == all.end() ? nullptr : &*found, to.jobs);
            else
                who.made.ratio = 1;
        }
    }
    for (candidate& who : all) rows.push_back(std::move(who.made));
    return rows;
}

} // namespace bench
