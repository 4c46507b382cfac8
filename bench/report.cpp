#include "report.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace bench {
namespace {

// Returns the row of the engine `name` with the depth and the jobs of `model`, if it was measured.
const row* find(const std::vector<row>& rows, const std::string& name, const row& model) {
    for (const row& r : rows)
        if (r.engine->name == name && r.depth == model.depth && r.jobs == model.jobs && r.why_not.empty()) return &r;
    return nullptr;
}

struct range {
    double low, high;
};

std::string text(range r) {
    std::string const low = fmt::format("{:.2f}", r.low), high = fmt::format("{:.2f}", r.high);
    return low == high ? low : low + " to " + high;
}

// Returns the ratio of `name`'s rate to `other`'s, over the rows where neither is noisy.
std::optional<range> compare(const std::vector<row>& rows, const std::string& name, const std::string& other) {
    std::optional<range> found;
    for (const row& r : rows) {
        const row* const against = find(rows, other, r);
        if (r.engine->name != name || !r.why_not.empty() || !against || r.noisy() || against->noisy()) continue;
        double const ratio = other == yardstick && r.ratio ? *r.ratio : r.rate / against->rate;
        found = found ? range{std::min(found->low, ratio), std::max(found->high, ratio)} : range{ratio, ratio};
    }
    return found;
}

// Returns the number of rows that were measured, and of the noisy ones among them.
std::pair<std::size_t, std::size_t> count(const std::vector<chapter>& all) {
    std::size_t measured = 0, noisy = 0;
    for (const chapter& c : all)
        for (const row& r : c.rows) {
            measured += r.why_not.empty();
            noisy += r.why_not.empty() && r.noisy();
        }
    return {measured, noisy};
}

std::string speed(const std::vector<chapter>& all, unsigned rounds) {
    if (rounds < 3) return "Speed: fewer than three rounds, which is too few to compare engines by.";
    std::string line;
    for (const chapter& c : all) {
        std::string part;
        for (const char* other : {yardstick, "libaio", "io_uring"})
            if (auto const ratio = compare(c.rows, "kaio", other))
                part += fmt::format("{}{} × {}", part.empty() ? "" : ", ", text(*ratio),
                                    other == std::string(yardstick) ? "the loop written by hand (raw-ring)" : other);
        if (!part.empty()) line += fmt::format("{}on {}: {}", line.empty() ? "" : "; ", c.medium, part);
    }
    if (line.empty())
        return "Speed: nothing to compare; that takes kaio and raw-ring, libaio or io_uring where neither is marked !.";
    return "Speed: requests per second of kaio's loop with callbacks, over all depths where neither is marked !, " +
           line + '.';
}

std::string cost(const std::vector<chapter>& all) {
    for (auto c = all.rbegin(); c != all.rend(); ++c)
        for (auto r = c->rows.rbegin(); r != c->rows.rend(); ++r) {
            const row* const asleep = find(c->rows, "kaio-blocking", *r);
            if (r->engine->name != "kaio" || !r->why_not.empty() || !asleep || !r->calls || !asleep->calls) continue;
            return fmt::format("Cost: on {} at depth {} a request takes {:.2f} µs of CPU and {:.2f} system calls with "
                               "kaio, which looks at the empty ring while that pays, and {:.2f} µs and {:.2f} with "
                               "kaio-blocking, which sleeps at once; the kernel's own threads are not in it.",
                               c->medium, r->depth, r->user + r->system, *r->calls, asleep->user + asleep->system,
                               *asleep->calls);
        }
    return "Cost: what one request takes is the CPU time of this process; the kernel's own threads are not in it.";
}

std::string noise(const std::vector<chapter>& all, unsigned rounds) {
    if (rounds < 3) return "Noise: so few rounds show no spread, so nothing can be concluded; --rounds=7 shows it.";
    auto const [measured, noisy] = count(all);
    double widest = 1;
    for (const chapter& c : all)
        for (const row& r : c.rows)
            if (r.why_not.empty()) widest = std::max(widest, r.spread);
    if (noisy == 0)
        return fmt::format("Noise: rounds of the same engine differ by a factor of up to {:.2f}, and a difference "
                           "between engines that is smaller than that is none.",
                           widest);
    return fmt::format("Noise: {} of {} rows are marked ! because their rounds differ by more than a factor of {:.1f} "
                       "(up to {:.2f}): the spread is too wide to conclude anything from them.",
                       noisy, measured, too_wide, widest);
}

std::string microseconds(double ns) {
    return ns < 99'950 ? fmt::format("{:.1f}", ns / 1e3) : fmt::format("{:.0f}", ns / 1e3);
}

// What the table's heading says of the file's state.
std::string text(state s) {
    switch (s) {
    case state::filled:
        break;
    case state::hole:
        return " into a hole";
    case state::empty:
        return ", extending the file";
    case state::cold:
        return ", not in the page cache";
    }
    return "";
}

// Returns how often the thread sleeps in a turn.
std::string sleeps(const recorder& times) {
    if (times.stuck.count() == 0) return "-";
    if (times.sleeps == 0) return "0";
    return fmt::format("{:.2g}", static_cast<double>(times.sleeps) / static_cast<double>(times.stuck.count()));
}

} // namespace

double megabytes(const chapter& chapter, const row& r) {
    double share = 1; // of the requests, those that move bytes
    if (chapter.pattern.sync_every != 0) {
        double const writes = 1 - chapter.pattern.reads / 100.0;
        share = chapter.pattern.sync_every / (chapter.pattern.sync_every + writes);
    }
    return r.rate * share * static_cast<double>(chapter.block_size) / 1e6;
}

std::string table(const chapter& chapter) {
    std::string out = fmt::format("{} of {} bytes{}, {}: {}\n", chapter.rw, chapter.block_size, text(chapter.state),
                                  chapter.medium, chapter.description);
    if (!chapter.notice.empty()) out += chapter.notice + '\n';
    bool const jobs = std::any_of(chapter.rows.begin(), chapter.rows.end(), [](const row& r) { return r.jobs != 1; });
    out += fmt::format("{:>5} {}{:<15}{:>10}{:>8}{:>10}{:>8}{:>8}{:>9}{:>8}{:>8}{:>10}{:>8}{:>8}{:>8}{:>8}{:>7}\n",
                       "depth", jobs ? "jobs " : "", "engine", "requests/s", "MB/s", "× by hand", "spread", "CPU",
                       "p50 µs", "p99", "p99.9", "stuck µs", "p99.9", "max", "sleeps", "timer", "calls");
    const row* before = nullptr;
    for (const row& r : chapter.rows) {
        if (before && (r.depth != before->depth || r.jobs != before->jobs)) out += '\n';
        before = &r;
        out += fmt::format("{:>5} {}{:<15}", r.depth, jobs ? fmt::format("{:>4} ", r.jobs) : "", r.engine->name);
        if (!r.why_not.empty()) {
            out += "  " + r.why_not + '\n';
            continue;
        }
        recorder const& times = r.times;
        auto const at = [](const histogram& h, double share) { return h.count() ? microseconds(h.at(share)) : "-"; };
        out += fmt::format("{:>10.0f}{:>8.0f}{:>10}{:>7.2f}{}{:>8.2f}{:>9}{:>8}{:>8}{:>10}{:>8}{:>8}{:>8}{:>8}{:>7}\n",
                           r.rate, megabytes(chapter, r), r.ratio ? fmt::format("{:.2f}", *r.ratio) : "-", r.spread,
                           r.noisy() ? '!' : ' ', r.user + r.system, at(times.latency, 0.5), at(times.latency, 0.99),
                           at(times.latency, 0.999), at(times.stuck, 0.5), at(times.stuck, 0.999), at(times.stuck, 1),
                           sleeps(times), at(times.late, 0.999), r.calls ? fmt::format("{:.2f}", *r.calls) : "-");
    }
    return out;
}

std::string table(const instruction_counts& counts) {
    std::string out =
        fmt::format("Instructions of one request in user space, at depth {} on /dev/null (callgrind)\n", counts.depth);
    for (const instruction_count& count : counts.all)
        out += fmt::format("  {:<15}{}\n", count.engine->name,
                           count.why_not.empty() ? fmt::format("{:>8.1f}", count.per_request) : "  " + count.why_not);
    return out;
}

std::string meaning(const std::vector<chapter>& all, unsigned rounds) {
    return speed(all, rounds) + '\n' + cost(all) + '\n' + noise(all, rounds) + '\n';
}

} // namespace bench
