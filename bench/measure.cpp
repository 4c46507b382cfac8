#include "measure.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <sys/resource.h>

#include <kaio/io/aligned_buffer.hpp>

namespace bench {
namespace {

constexpr const char* yardstick = "raw-ring";

struct timing {
    double seconds;
    double cpu; // seconds
};

struct candidate {
    const engine* how;
    std::vector<timing> rounds;
};

double cpu_seconds() {
    rusage usage;
    ::getrusage(RUSAGE_SELF, &usage);
    auto const seconds = [](timeval t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
    return set;
}

void stop_if_asked() {
    sigset_t pending;
    sigpending(&pending);
    for (int signal : {SIGINT, SIGTERM, SIGHUP})
        if (sigismember(&pending, signal) == 1) throw interrupted{signal};
}

class stopwatch final : public meter {
public:
    timing took() const noexcept { return took_; }

private:
    void begin() override {
        took_.cpu = cpu_seconds();
        start_ = std::chrono::steady_clock::now();
    }
    void end() override {
        took_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
        took_.cpu = cpu_seconds() - took_.cpu;
    }

    timing took_{};
    std::chrono::steady_clock::time_point start_;
};

workload make_workload(const target& to, kaio::aligned_buffer& memory, std::uint64_t requests, std::uint64_t seed) {
    return {to.fd, to.blocks,     to.block_size, to.depth, std::max<std::uint64_t>(requests, to.depth),
            seed,  memory.data(), nullptr};
}

timing run(const engine& how, workload work) {
    stop_if_asked();
    stopwatch watch;
    work.measured = &watch;
    how.run(work);
    return watch.took();
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

// Requests that take about so many seconds.
std::uint64_t calibrate(const engine& how, workload work, double seconds) {
    for (;;) {
        double const took = run(how, work).seconds;
        auto const done = static_cast<double>(work.requests);
        if (took >= seconds / 4 || work.requests >= 50'000'000)
            return static_cast<std::uint64_t>(done * seconds / took);
        work.requests *= 2;
    }
}

row summarize(const candidate& who, const candidate* measure_by, unsigned depth, std::uint64_t requests) {
    auto const n = static_cast<double>(requests);
    std::size_t const rounds = who.rounds.size();
    auto const [fastest, slowest] = std::minmax_element(who.rounds.begin(), who.rounds.end(),
                                                        [](timing a, timing b) { return a.seconds < b.seconds; });
    row made{};
    made.how = who.how;
    made.depth = depth;
    made.rate = median_of(rounds, [&](std::size_t i) { return n / who.rounds[i].seconds; });
    made.cpu = median_of(rounds, [&](std::size_t i) { return who.rounds[i].cpu * 1e6 / n; });
    made.spread = slowest->seconds / fastest->seconds;
    if (measure_by)
        made.ratio =
            median_of(rounds, [&](std::size_t i) { return measure_by->rounds[i].seconds / who.rounds[i].seconds; });
    return made;
}

double percentile_99(const engine& how, workload work) {
    std::vector<std::uint32_t> latencies;
    latencies.reserve(work.requests);
    work.latencies = &latencies;
    run(how, work);
    auto const at = latencies.begin() + static_cast<std::ptrdiff_t>((latencies.size() - 1) * 99 / 100);
    std::nth_element(latencies.begin(), at, latencies.end());
    return *at / 1e3;
}

} // namespace

void hold_signals() {
    sigset_t const set = stop_signals();
    sigprocmask(SIG_BLOCK, &set, nullptr);
}

void slot::fail(std::int64_t result) {
    if (result < 0)
        fmt::print(stderr, "kaio-bench: a read failed: {}\n", std::strerror(static_cast<int>(-result)));
    else
        fmt::print(stderr, "kaio-bench: a read ended after {} bytes\n", result);
    std::_Exit(1);
}

void call_failed(const char* call, int error) { throw std::system_error(error, std::system_category(), call); }

std::vector<row> measure(const plan& what, const target& to, call_counts& notes) {
    std::vector<candidate> all;
    for (const engine* how : what.engines)
        if (to.depth <= how->deepest() && how->missing().empty()) all.push_back({how, {}});
    if (all.empty()) return {};

    auto const found =
        std::find_if(all.begin(), all.end(), [](const candidate& c) { return c.how->name() == yardstick; });
    const candidate* const measure_by = found == all.end() ? nullptr : &*found;

    kaio::aligned_buffer memory(to.block_size * to.depth);
    std::memset(memory.data(), 1, memory.size()); // so that no page comes into being while the clock runs
    std::uint64_t requests = what.requests;
    if (requests == 0)
        requests = calibrate(*(measure_by ? *measure_by : all.front()).how, make_workload(to, memory, 64, 1),
                             what.seconds_per_pass);
    workload work = make_workload(to, memory, requests, 1);

    for (candidate& who : all) run(*who.how, work); // none is measured cold
    for (unsigned round = 0; round < what.rounds; ++round)
        for (candidate& who : all) {
            work.seed = round + 1;
            who.rounds.push_back(run(*who.how, work));
        }

    std::vector<row> rows;
    for (const candidate& who : all) {
        rows.push_back(summarize(who, measure_by, to.depth, work.requests));
        rows.back().p99 = percentile_99(*who.how, work);
        stop_if_asked();
        rows.back().calls = count_system_calls(*who.how, work, notes);
    }
    return rows;
}

} // namespace bench
