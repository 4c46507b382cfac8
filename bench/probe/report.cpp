#include "report.hpp"

#include <sstream>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "../words.hpp"

namespace probe {
namespace {

std::string direct_line(const findings& all) {
    if (all.direct_error) return "none: open with O_DIRECT: " + std::system_category().message(all.direct_error);
    if (all.direct_ignored)
        return "none: O_DIRECT is accepted and ignored here (statx reports no direct I/O); all goes through the page "
               "cache";
    return fmt::format(
        "needs memory at {}, offsets and lengths at {} bytes ({})", all.alignment.memory, all.alignment.offset,
        all.alignment_found_by == "statx" ? "statx says so" : "nobody says; these suit every file system");
}

std::string device_line(const surroundings& around) {
    if (!around.device) return "none that the kernel names (a file system in memory, over a network or over others)";
    const device& d = *around.device;
    return d.name + (d.scheduler.empty() ? "" : ", scheduler " + d.scheduler) +
           (d.queue.empty() ? "" : ", queue of " + d.queue + " requests") +
           (d.sector.empty() ? "" : ", sectors of " + d.sector + " bytes");
}

std::string heading(const findings& all) {
    const surroundings& around = all.around;
    auto const line = [](const char* name, const std::string& value) { return fmt::format("{:<13}{}\n", name, value); };
    return line("kernel", around.kernel + " " + around.machine) +
           line("file system", fmt::format("{} at {} ({})", around.type, around.mounted, around.source)) +
           line("device", device_line(around)) + line("direct I/O", direct_line(all)) +
           line("native AIO", fmt::format("fs.aio-max-nr {}, fs.aio-nr (in use) {}; events by {}", around.aio_max_nr,
                                          around.aio_nr, all.ring ? "the ring" : "io_getevents")) +
           line("io_uring", around.io_uring.available ? "available" : "not available: " + around.io_uring.why);
}

// Returns "Start: name, name, name.", in lines that fit a terminal, or "" if no operation has this verdict.
std::string sentence(const findings& all, verdict v, const std::string& start) {
    std::string out, line = start;
    for (auto const& [name, t] : all.operations) {
        if (!t.error.empty() || t.verdict != v) continue;
        std::string const more = (line == start ? ": " : ", ") + name;
        if (line.size() + more.size() > 99) {
            out += line + ",\n";
            line = "    " + name;
        } else {
            line += more;
        }
    }
    return out.empty() && line == start ? "" : out + line + ".\n";
}

std::string text(const helped& h) {
    if (!h.error.empty()) return h.error;
    std::string const helper = h.by_helper < 0.01 ? "" : fmt::format(", {:.0f} % by a helper", 100 * h.by_helper);
    return fmt::format("{:>5.1f}{}{}", h.stuck, helper,
                       h.slept == 0 ? "" : fmt::format("; {:.0f} % slept", 100 * h.slept));
}

// Returns the text in lines that fit a terminal.
std::string wrapped(const std::string& text) {
    std::string out, line, word;
    for (std::istringstream words(text); words >> word;) {
        if (line.size() + word.size() >= 99) {
            out += line + "\n";
            line = "   ";
        }
        line += (line.empty() ? "" : " ") + word;
    }
    return out + line + "\n";
}

std::string known(const findings& all) {
    std::string out;
    for (const std::string& each : known_to_block(all.around.type))
        out += wrapped("Known of " + all.around.type + ": " + each + ".");
    return out;
}

std::string words(const findings& all) {
    std::string const ignored = all.direct_ignored
                                    ? "Direct I/O is accepted and ignored here: reads and writes are buffered ones, "
                                      "whatever their names say.\n"
                                    : "";
    return ignored + sentence(all, verdict::asynchronous, "Asynchronous, so many at a time pay") +
           sentence(all, verdict::blocks,
                    "Stops the thread that submits, so keep it away from a loop that must answer") +
           sentence(all, verdict::at_once, "Done by the processor inside io_submit, so nothing is gained by a queue") +
           known(all);
}

nlohmann::ordered_json number_or_null(const std::string& text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return nullptr;
    return std::stoull(text);
}

nlohmann::ordered_json json(const answer& a) {
    if (!a.tried) return nullptr;
    if (a.refused) return "io_submit: " + errno_name(a.refused);
    if (a.res < 0) return "event: " + errno_name(static_cast<int>(-a.res));
    return "works";
}

nlohmann::ordered_json json(const helped& h) {
    if (!h.error.empty()) return {{"error", h.error}};
    return {{"stuck_us", h.stuck}, {"by_helper", h.by_helper}, {"slept", h.slept}};
}

nlohmann::ordered_json json(const std::string& name, const timing& t) {
    if (!t.error.empty()) return {{"name", name}, {"verdict", nullptr}, {"error", t.error}};
    return {{"name", name},
            {"verdict", text(t.verdict)},
            {"submit_us", t.submit},
            {"complete_us", t.complete},
            {"inside", t.inside},
            {"slept", t.slept},
            {"repetitions", t.repetitions},
            {"note", t.note},
            {"with_helpers", json(t.helped)}};
}

} // namespace

std::string table(const findings& all) {
    std::string out =
        heading(all) + fmt::format("\n{} bytes, one request at a time; medians in µs\n\n{:<22}{:>10}{:>10}"
                                   "{:>9}{:>8}   {:<24}{}\n",
                                   all.block, "operation", "io_submit", "complete", "inside", "slept", "verdict",
                                   "a loop with helpers is stuck");
    std::string notes;
    for (auto const& [name, t] : all.operations)
        if (!t.error.empty()) {
            out += fmt::format("{:<22}{:>10}{:>10}{:>9}{:>8}   {}\n", name, "-", "-", "-", "-", t.error);
        } else {
            out += fmt::format("{:<22}{:>10.1f}{:>10.1f}{:>7.0f} %{:>6.0f} %   {:<24}{}\n", name, t.submit, t.complete,
                               100 * t.inside, 100 * t.slept, text(t.verdict) + std::string(t.note.empty() ? "" : " *"),
                               text(t.helped));
            if (!t.note.empty()) notes += fmt::format("* {}: {}\n", name, t.note);
        }
    out += notes;

    out += fmt::format("\n{:<16}{:<27}{:<27}{:<27}{}\n", "flag", "direct read", "direct write", "buffered read",
                       "buffered write");
    for (const flag_answers& f : all.flags)
        out += fmt::format("{:<16}{:<27}{:<27}{:<27}{}\n", f.name, text(f.direct_read), text(f.direct_write),
                           text(f.buffered_read), text(f.buffered_write));
    return out + "\n" + words(all);
}

std::string json(const findings& all) {
    const surroundings& around = all.around;
    nlohmann::ordered_json out = {
        {"format", 1},
        {"directory", all.directory},
        {"kernel", around.kernel},
        {"machine", around.machine},
        {"file_system", {{"type", around.type}, {"mounted_at", around.mounted}, {"source", around.source}}},
        {"device", nullptr},
        {"alignment",
         {{"memory", all.alignment.memory}, {"offset", all.alignment.offset}, {"found_by", all.alignment_found_by}}},
        {"direct", all.direct_error == 0},
        {"direct_ignored", all.direct_ignored},
        {"aio",
         {{"max_nr", number_or_null(around.aio_max_nr)}, {"nr", number_or_null(around.aio_nr)}, {"ring", all.ring}}},
        {"io_uring", {{"available", around.io_uring.available}}},
        {"block", all.block},
        {"operations", nlohmann::ordered_json::array()},
        {"flags", nlohmann::ordered_json::array()},
        {"known_to_block", known_to_block(around.type)},
    };
    if (auto const& d = around.device)
        out["device"] = {{"name", d->name},
                         {"scheduler", d->scheduler},
                         {"queue", number_or_null(d->queue)},
                         {"sector", number_or_null(d->sector)}};
    if (!around.io_uring.available) {
        out["io_uring"]["cause"] = around.io_uring.cause;
        out["io_uring"]["why"] = around.io_uring.why;
    }
    for (auto const& [name, t] : all.operations) out["operations"].push_back(json(name, t));
    for (const flag_answers& f : all.flags)
        out["flags"].push_back({{"name", f.name},
                                {"direct_read", json(f.direct_read)},
                                {"direct_write", json(f.direct_write)},
                                {"buffered_read", json(f.buffered_read)},
                                {"buffered_write", json(f.buffered_write)}});
    bench::add_bytes(out, "directory", all.directory);
    bench::add_bytes(out["file_system"], "mounted_at", around.mounted);
    bench::add_bytes(out["file_system"], "source", around.source);
    return bench::dumped(out, 2) + "\n";
}

} // namespace probe
