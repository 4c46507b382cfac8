#include "verdict.hpp"

#include <algorithm>

namespace probe {
namespace {

double median(const std::vector<sample>& samples, double sample::* what) {
    std::vector<double> values;
    for (const sample& s : samples) values.push_back(s.*what);
    auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

double share(const std::vector<sample>& samples, bool sample::* what) {
    auto const count = std::count_if(samples.begin(), samples.end(), [=](const sample& s) { return s.*what; });
    return static_cast<double>(count) / static_cast<double>(samples.size());
}

} // namespace

const char* text(verdict v) noexcept {
    switch (v) {
    case verdict::asynchronous:
        return "asynchronous";
    case verdict::blocks:
        return "blocks in io_submit";
    case verdict::at_once:
        return "completes at once";
    }
    return "";
}

timing judge(std::vector<sample> samples, std::size_t bytes) {
    auto const unclear = std::partition(samples.begin(), samples.end(), [](const sample& s) { return !s.unclear; });
    bool const clear = static_cast<std::size_t>(unclear - samples.begin()) >= few;
    if (clear) samples.erase(unclear, samples.end());

    timing t;
    t.repetitions = samples.size();
    t.submit = median(samples, &sample::submit);
    t.complete = median(samples, &sample::complete);
    t.inside = share(samples, &sample::inside);
    t.slept = share(samples, &sample::slept);

    bool const complete = clear && t.inside > 0.5, sleeps = t.slept > 0.5;
    if (complete && !sleeps && t.submit < at_once_limit(bytes))
        t.verdict = verdict::at_once;
    else if (complete || (sleeps && t.submit > t.complete / 2))
        t.verdict = verdict::blocks;

    if (!clear)
        t.note = "unclear, because other threads took the processor inside io_submit; as root it can be told";
    else if (t.verdict == verdict::blocks && !sleeps)
        t.note = "it never sleeps there: the device (a virtual disk's host) or the processor does it inside the call";
    else if (t.verdict != verdict::blocks && t.slept > 0.1)
        t.note = std::to_string(static_cast<int>(100 * t.slept)) + " % of the requests slept in io_submit all the same";
    return t;
}

} // namespace probe
