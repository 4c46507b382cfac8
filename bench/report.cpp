#include "report.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace bench {
namespace {

constexpr double too_wide = 1.3; // fastest round to slowest

const row* find(const std::vector<row>& rows, const std::string& name, unsigned depth) {
    for (const row& r : rows)
        if (r.how->name() == name && r.depth == depth) return &r;
    return nullptr;
}

struct range {
    double low, high;
};

std::string text(range r) {
    std::string const low = fmt::format("{:.2f}", r.low), high = fmt::format("{:.2f}", r.high);
    return low == high ? low : low + " to " + high;
}

bool noisy(const row& r) { return r.spread > too_wide; }

// The rate of `name` to that of `other`, over the depths where neither is noisy.
std::optional<range> compare(const std::vector<row>& rows, const std::string& name, const std::string& other) {
    std::optional<range> found;
    for (const row& r : rows) {
        const row* const against = find(rows, other, r.depth);
        if (r.how->name() != name || !against || noisy(r) || noisy(*against)) continue;
        double const ratio = other == "raw-ring" && r.ratio ? *r.ratio : r.rate / against->rate;
        found = found ? range{std::min(found->low, ratio), std::max(found->high, ratio)} : range{ratio, ratio};
    }
    return found;
}

std::string speed(const std::vector<row>& rows) {
    auto const ring = compare(rows, "kaio", "raw-ring"), other = compare(rows, "kaio", "libaio");
    if (!ring && !other)
        return "Speed: nothing to compare; that takes kaio and raw-ring or libaio at a depth where neither is marked "
               "!.";
    std::string line = "Speed: kaio's loop (kaio) does ";
    if (ring) line += text(*ring) + " times the requests per second of the ring taken by hand (raw-ring)";
    if (other) line += (ring ? ", and " : "") + text(*other) + " times those of libaio";
    line += rows.front().depth == rows.back().depth ? " at this depth" : " over these depths";
    return line + (std::any_of(rows.begin(), rows.end(), noisy) ? ", without the rows marked !." : ".");
}

std::string cost(const std::vector<row>& rows) {
    unsigned const deepest = rows.back().depth;
    const row *const polling = find(rows, "kaio", deepest), *const blocking = find(rows, "kaio-blocking", deepest);
    if (!polling || !blocking || !polling->calls || !blocking->calls)
        return "Cost: what one request takes is the CPU time of this process; the kernel's own threads are not in it.";
    return fmt::format("Cost: kaio looks at the empty ring for up to 100 µs before it sleeps, and at depth {} "
                       "takes {:.2f} µs of CPU and {:.2f} system calls per request; kaio-blocking sleeps at once, and "
                       "takes {:.2f} µs and {:.2f}.",
                       deepest, polling->cpu, *polling->calls, blocking->cpu, *blocking->calls);
}

std::string noise(const std::vector<row>& rows, unsigned rounds) {
    auto const widest =
        std::max_element(rows.begin(), rows.end(), [](const row& a, const row& b) { return a.spread < b.spread; });
    auto const wide = std::count_if(rows.begin(), rows.end(), noisy);
    if (rounds == 1) return "Noise: one round shows no spread, so nothing can be concluded; --rounds 7 shows it.";
    if (wide == 0)
        return fmt::format("Noise: rounds of the same engine differ by a factor of up to {:.2f}, and a difference "
                           "between engines that is smaller than that is none.",
                           widest->spread);
    return fmt::format("Noise: {} of {} rows are marked ! because their rounds differ by more than a factor of {:.1f} "
                       "(up to {:.2f}): they are too noisy to conclude anything from.",
                       wide, rows.size(), too_wide, widest->spread);
}

} // namespace

std::string table(const std::vector<row>& rows) {
    std::string out = fmt::format("{:>5}  {:<14}{:>11}{:>13}{:>9}{:>9}{:>10}{:>9}\n", "depth", "engine", "requests/s",
                                  "of raw-ring", "spread", "CPU µs", "p99 µs", "calls");
    unsigned depth = 0;
    for (const row& r : rows) {
        if (depth != 0 && r.depth != depth) out += '\n';
        depth = r.depth;
        out += fmt::format("{:>5}  {:<14}{:>11.0f}{:>13}{:>8.2f}{}{:>9.2f}{:>10.1f}{:>9}\n", r.depth, r.how->name(),
                           r.rate, r.ratio ? fmt::format("{:.2f}", *r.ratio) : "-", r.spread, noisy(r) ? '!' : ' ',
                           r.cpu, r.p99, r.calls ? fmt::format("{:.2f}", *r.calls) : "-");
    }
    return out;
}

std::string meaning(const std::vector<row>& rows, unsigned rounds) {
    return speed(rows) + '\n' + cost(rows) + '\n' + noise(rows, rounds) + '\n';
}

} // namespace bench
