#include "options.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <stdexcept>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace bench {
namespace {

constexpr double seconds_in_all = 40; // all rounds, if there is no --runtime; setting up takes more
constexpr double settling = 0.03;     // seconds in which a loop has learned how to wait
constexpr unsigned deepest = 4096, most_jobs = 256;

constexpr const char* examples = R"(
Examples:
  kaio-bench                                        random reads from a temporary file here
  kaio-bench --filename=/dev/nvme0n1                from a device, which is only read
  kaio-bench --medium=null,loop --iodepth=1-128     what the interface costs, and a device that is truly asynchronous
  kaio-bench --rw=randrw --rwmixread=70 --bs=16k --fsync=32 --directory=/data
  kaio-bench --filename=/dev/sdx --rw=randwrite --overwrite=/dev/sdx      destroys what is on it
  kaio-bench --medium=loop-ext4 --rw=write --state=empty      writes that extend the file, for which io_submit blocks
  kaio-bench --numjobs=1,2,4 --iodepth=32 --json=jobs.json && bench/plot jobs.json

Columns: requests per second; MB per second; the same as a multiple of raw-ring's; spread, the fastest round to the
slowest, of five rounds or more without these two; CPU time of this process per request (µs); latencies (median, 99 and
99.9 %, µs); how long the thread was stuck in one turn (median, 99.9 %, longest, µs): in all that it does between two
waits for completions; how often it slept inside a turn; how late a timer of 1 ms was (99.9 %, µs), where the engine has
timers; system calls per request, exact for root, else under ptrace, which on a device makes them too low. A sync counts
as a request.)";

// Parses "1,4,32", and "1-128" as a sweep that doubles.
std::vector<unsigned> parse_list(const std::string& option, const std::string& text, unsigned most) {
    auto const number = [&](const std::string& part) {
        std::size_t used = 0;
        unsigned long value = 0;
        try {
            value = std::stoul(part, &used);
        } catch (const std::exception&) {
            used = 0;
        }
        if (part.empty() || used != part.size() || value == 0 || value > most || part[0] < '0' || part[0] > '9')
            throw CLI::ValidationError(
                fmt::format("{}={}: '{}' is not a number from 1 to {}", option, text, part, most));
        return static_cast<unsigned>(value);
    };
    std::vector<unsigned> all;
    for (const std::string& part : CLI::detail::split(text, ',')) {
        std::size_t const dash = part.find('-');
        unsigned const first = number(part.substr(0, dash));
        unsigned const last = dash == std::string::npos ? first : number(part.substr(dash + 1));
        if (last < first)
            throw CLI::ValidationError(fmt::format("{}={}: {} is less than {}", option, text, last, first));
        for (unsigned value = first; value <= last; value *= 2) all.push_back(value);
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

struct raw_options {
    std::vector<std::string> engines;
    std::string depths = "1,4,32,128", jobs = "1";
    unsigned reads = 50;
    double runtime = 0, ramp = -1;
    bool direct = true;
};

const std::map<std::string, state> states{
    {"filled", state::filled}, {"hole", state::hole}, {"empty", state::empty}, {"cold", state::cold}};

std::string engine_lines(const settings& settings) {
    std::string text = "Engines:\n";
    for (const engine& e : settings.engines) text += fmt::format("  {:<15}{}\n", e.name, e.what);
    text += "\nMedia (removed again, however the program ends):\n";
    for (const medium_kind& kind : media_kinds()) text += fmt::format("  {:<15}{}\n", kind.name, kind.what);
    return text;
}

void add_options(CLI::App& app, settings& settings, raw_options& raw) {
    std::vector<std::string> engines, media;
    for (const engine& e : settings.engines) engines.push_back(e.name);
    for (const medium_kind& kind : media_kinds()) media.push_back(kind.name);

    app.add_option("--rw,--readwrite", settings.rw, "randread, randwrite, randrw, read, write or rw")
        ->check(CLI::IsMember({"randread", "randwrite", "randrw", "read", "write", "rw"}))
        ->capture_default_str();
    app.add_option("--rwmixread", raw.reads, "Percent of reads in randrw and rw")
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    app.add_option("--bs,--blocksize", settings.medium.block, "Bytes of one request, such as 4k")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(1u, 1u << 30))
        ->capture_default_str();
    app.add_option("--iodepth", raw.depths, "Requests in flight: a list (1,4,32) or a sweep that doubles (1-128)")
        ->capture_default_str();
    app.add_option("--numjobs", raw.jobs, "Threads, each with a loop of its own: a list or a sweep")
        ->capture_default_str();
    app.add_option("--direct", raw.direct, "1: past the page cache (O_DIRECT), 0: through it")->capture_default_str();
    app.add_option("--fsync", settings.pattern.sync_every, "An fsync after so many writes; 0: none")
        ->capture_default_str();

    app.add_option("--medium", settings.media, "What to read or write, a list; see below. Default: file")
        ->delimiter(',')
        ->check(CLI::IsMember(media));
    app.add_option("--filename", settings.medium.filename, "A file or block device that exists")->excludes("--medium");
    app.add_option("--overwrite", settings.medium.overwrite,
                   "The name again, if it may be written to: what is in it is lost");
    app.add_option("--directory", settings.medium.directory,
                   "Where the temporary file is made; default: $TMPDIR, or here")
        ->check(CLI::ExistingDirectory);
    app.add_option_function<std::string>(
           "--state", [&](const std::string& name) { settings.medium.state = states.at(name); },
           "What each round finds in the file: filled; hole: none of its blocks is allocated; empty: writes "
           "extend it (--rw=write); cold: nothing of it is in the page cache (--direct=0)")
        ->check(CLI::IsMember(states))
        ->default_str("filled");
    app.add_option("--size", settings.medium.size, "Bytes of what is made here, such as 64m")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str();

    app.add_option("--ioengine", raw.engines, "Only these, a list (raw-ring is what the others are compared with)")
        ->delimiter(',')
        ->check(CLI::IsMember(engines));
    app.add_option("--rounds", settings.plan.rounds, "Rounds, in turn (A B C A B C); figures are medians of them")
        ->check(CLI::Range(1u, 1000u))
        ->capture_default_str();
    app.add_option("--runtime", raw.runtime,
                   "Seconds of one engine in one round; default: what keeps the whole run near a minute")
        ->check(CLI::Range(0.001, 3600.0));
    app.add_option("--number_ios", settings.plan.requests, "Requests of each loop in one round, instead of a time")
        ->check(CLI::Range(1u, 1'000'000'000u));
    app.add_option("--ramp_time", raw.ramp,
                   "Seconds before each round that are not measured; default: a fifth of it, 0.03 or more")
        ->check(CLI::Range(0.0, 60.0));
    app.add_option("--randseed", settings.plan.seed, "Of the offsets, the same for all engines")->capture_default_str();

    app.add_option("--json", settings.json,
                   "Writes all figures to this file; '-': to standard output, without the table")
        ->expected(0, 1)
        ->default_str("-");
    app.add_flag("--instructions", settings.instructions,
                 "Counts the instructions in user space of one request, too (valgrind)");
    app.add_flag("--quiet", settings.quiet, "No progress line");
    app.add_option("--alone", settings.alone,
                   "So many requests of one engine and nothing else, for tools that count from outside");
    app.footer(engine_lines(settings) + examples);
}

void check_state(const settings& settings) {
    state const wanted = settings.medium.state;
    if (wanted == state::filled) return;
    if (wanted == state::cold) {
        if (settings.medium.direct || settings.medium.writes)
            throw CLI::ValidationError("--state=cold needs --direct=0 and reads: nothing else needs the page cache");
        return;
    }
    if (wanted == state::empty ? settings.rw != "write" : settings.pattern.reads != 0)
        throw CLI::ValidationError("--state=empty needs --rw=write, and --state=hole writes: there is nothing to read");
    for (const std::string& kind : settings.media)
        if (kind == "filename" || kind == "null" || kind == "loop")
            throw CLI::ValidationError("--state=hole and empty need a file that is made here: --medium=file, tmpfs or "
                                       "one of the file systems on a loop device");
}

void settle(settings& settings, const raw_options& raw) {
    settings.depths = parse_list("--iodepth", raw.depths, deepest);
    settings.jobs = parse_list("--numjobs", raw.jobs, most_jobs);
    bool const random = settings.rw.rfind("rand", 0) == 0;
    std::string const kind = random ? settings.rw.substr(4) : settings.rw;
    settings.pattern.order = !random                                  ? order::sequential
                             : settings.medium.state == state::filled ? order::random
                                                                      : order::scattered;
    settings.pattern.reads = kind == "read" ? 100 : kind == "write" ? 0 : raw.reads;
    settings.medium.writes = settings.pattern.reads != 100;
    settings.medium.direct = raw.direct;
    if (settings.pattern.sync_every != 0 && !settings.medium.writes)
        throw CLI::ValidationError("--fsync needs writes: --rw=write, randwrite, rw or randrw");
    if (!settings.medium.filename.empty()) settings.media = {"filename"};
    if (!settings.medium.overwrite.empty() && settings.medium.overwrite != settings.medium.filename)
        throw CLI::ValidationError("--overwrite must be the name that --filename has");
    if (settings.media.empty()) settings.media = {"file"};
    check_state(settings);
    if (settings.medium.directory.empty()) {
        const char* const folder = std::getenv("TMPDIR");
        settings.medium.directory = folder && *folder ? folder : ".";
    }
    for (const engine& e : settings.engines)
        if (raw.engines.empty() || std::find(raw.engines.begin(), raw.engines.end(), e.name) != raw.engines.end())
            settings.plan.engines.push_back(&e);
    if (settings.alone != 0 && (settings.plan.engines.size() != 1 || settings.depths.size() != 1 ||
                                settings.jobs.size() != 1 || settings.media.size() != 1))
        throw CLI::ValidationError("--alone needs one --ioengine, --iodepth, --numjobs and --medium");

    settings.plan.latency_rounds = (settings.plan.rounds + 1) / 2;
    settings.plan.turn_rounds = (settings.plan.rounds + 3) / 4;
    std::size_t const rows =
        settings.plan.engines.size() * settings.depths.size() * settings.jobs.size() * settings.media.size();
    double const per_pass = seconds_in_all / static_cast<double>(passes(settings.plan) * rows);
    settings.plan.seconds = raw.runtime > 0 ? raw.runtime : std::clamp(per_pass, 0.05, 0.25);
    settings.plan.ramp = raw.ramp >= 0 ? raw.ramp : std::max(settings.plan.seconds / 5, settling);
}

} // namespace

std::optional<int> parse(int argc, char** argv, settings& settings) {
    raw_options raw;
    settings.medium.size = 256u << 20;
    settings.medium.block = 4096;
    settings.plan.rounds = 7;
    settings.plan.seed = 1;
    settings.command = "kaio-bench";
    for (int i = 1; i < argc; ++i)
        if (std::string const part = argv[i]; part.rfind("--json", 0) != 0 && part != "--quiet")
            settings.command += " " + part;
    CLI::App app("Disk requests through kaio, through the system calls by hand, and through its peers, side by side.",
                 "kaio-bench");
    add_options(app, settings, raw);
    try {
        app.parse(argc, argv);
        settle(settings, raw);
        return {};
    } catch (const CLI::ParseError& error) {
        int const status = app.exit(error);
        return status == 0 ? 0 : 2;
    }
}

} // namespace bench
