#include "json.hpp"

#include <ctime>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>
#include <unistd.h>

#include "words.hpp"

namespace bench {
namespace {

using nlohmann::json;

std::string processor() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.rfind("model name", 0) == 0 && line.find(": ") != std::string::npos)
            return line.substr(line.find(": ") + 2);
    return "unknown processor";
}

json machine() {
    utsname name{};
    ::uname(&name);
    std::ifstream info("/proc/cpuinfo");
    std::string const text((std::istreambuf_iterator<char>(info)), {});
    return {{"processor", processor()},
            {"processors", ::sysconf(_SC_NPROCESSORS_ONLN)},
            {"architecture", name.machine},
            {"system", fmt::format("{} {}", name.sysname, name.release)},
            {"virtual", text.find(" hypervisor") != std::string::npos}};
}

std::string date() {
    char text[32];
    std::time_t const now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

json times(const histogram& h, bool whole) {
    if (h.count() == 0) return nullptr;
    json made = {
        {"p50", h.at(0.5) / 1e3}, {"p99", h.at(0.99) / 1e3}, {"p99.9", h.at(0.999) / 1e3}, {"max", h.max() / 1e3}};
    if (whole) h.for_each([&](double ns, std::uint64_t count) { made["histogram"].push_back({ns / 1e3, count}); });
    return made;
}

const char* name(state s) {
    switch (s) {
    case state::filled:
        break;
    case state::hole:
        return "hole";
    case state::empty:
        return "empty";
    case state::cold:
        return "cold";
    }
    return "filled";
}

template <class T> json maybe(const std::optional<T>& value) { return value ? json(*value) : json(nullptr); }

json describe(const chapter& chapter, const row& r) {
    json made = {{"engine", r.engine->name}, {"iodepth", r.depth}, {"numjobs", r.jobs}};
    if (!r.why_not.empty()) {
        made["why_not"] = r.why_not;
        return made;
    }
    made.update({{"requests", r.requests},
                 {"requests_per_second", r.rate},
                 {"megabytes_per_second", megabytes(chapter, r)},
                 {"ratio", maybe(r.ratio)},
                 {"spread", r.spread},
                 {"too_noisy", r.noisy()},
                 {"rounds", r.rates},
                 {"cpu_user_us", r.user},
                 {"cpu_system_us", r.system},
                 {"system_calls", maybe(r.calls)},
                 {"latency_us", times(r.times.latency, true)},
                 {"turns", r.times.stuck.count()},
                 {"stuck_us", times(r.times.stuck, true)},
                 {"beyond_us", times(r.times.beyond, false)},
                 {"sleeps", r.times.sleeps},
                 {"timer_late_us", times(r.times.late, false)}});
    return made;
}

} // namespace

std::string to_json(const settings& settings, const std::vector<chapter>& all, const instruction_counts& instructions) {
    json made = {{"command", settings.command},    {"date", date()},         {"machine", machine()},
                 {"rounds", settings.plan.rounds}, {"media", json::array()}, {"yardstick", yardstick}};
    for (const chapter& chapter : all) {
        json rows = json::array();
        for (const row& r : chapter.rows) rows.push_back(describe(chapter, r));
        json medium = {{"medium", chapter.medium}, {"description", chapter.description},
                       {"notice", chapter.notice}, {"rw", chapter.rw},
                       {"bs", chapter.block_size}, {"state", name(chapter.state)},
                       {"direct", chapter.direct}, {"results", rows}};
        add_bytes(medium, "medium", chapter.medium);
        add_bytes(medium, "description", chapter.description);
        made["media"].push_back(medium);
    }
    if (instructions.depth != 0) {
        json& counts = made["instructions"] = {{"iodepth", instructions.depth}, {"engines", json::object()}};
        for (const instruction_count& count : instructions.all)
            counts["engines"][count.engine->name] =
                count.why_not.empty() ? json(count.per_request) : json(count.why_not);
    }
    add_bytes(made, "command", settings.command);
    return dumped(made, 1);
}

} // namespace bench
