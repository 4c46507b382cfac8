// kaio-bench: random reads through kaio, through the system calls by hand, and through libaio, side by side.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "input.hpp"
#include "measure.hpp"
#include "report.hpp"

namespace {

using namespace bench;

std::vector<engine_ptr> all_engines() {
    std::vector<engine_ptr> all;
    for (auto make : {kaio_loop, kaio_owned, kaio_blocking, kaio_syscall, kaio_context, raw_ring, raw_syscall, libaio,
                      pread_engine})
        all.push_back(make());
    return all;
}

constexpr double seconds_in_all = 40; // of the rounds; setting up, latencies and system calls come on top

struct arguments {
    std::vector<engine_ptr> engines = all_engines();
    input_options input;
    plan what;
    std::vector<unsigned> depths{1, 4, 32, 128};
    std::vector<std::string> names;
};

void add_options(CLI::App& app, arguments& to) {
    to.input.size = 256u << 20;
    to.input.block = 4096;
    to.what.rounds = 7;
    to.what.requests = 0;
    app.add_option("path", to.input.path,
                   "A file or block device, which is only read. Without one: a temporary file in $TMPDIR or here");
    app.add_flag("--loop-device", to.input.loop_device, "A loop device over memory instead (root)");
    app.add_flag("--buffered", to.input.buffered, "Without O_DIRECT");
    app.add_option("--depth", to.depths, "Reads in flight, a list")
        ->delimiter(',')
        ->allow_extra_args(false) // what follows a list is the path
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    std::vector<std::string> known;
    for (const engine_ptr& e : to.engines) known.push_back(e->name());
    app.add_option("--engine", to.names, "Only these, a list (raw-ring is what the others are compared with)")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember(known));
    app.add_option("--requests", to.what.requests, "Reads per round; default: what keeps the whole run below a minute")
        ->check(CLI::Range(1u, 1'000'000'000u));
    app.add_option("--size", to.input.size, "Bytes of a temporary file or loop device, such as 64M")
        ->transform(CLI::AsSizeValue(false))
        ->capture_default_str();
    app.add_option("--block", to.input.block, "Bytes of one read")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(1u, 1u << 30))
        ->capture_default_str();
    app.add_option("--rounds", to.what.rounds, "Rounds; figures are medians of them")
        ->check(CLI::Range(1u, 1000u))
        ->capture_default_str();
    std::string text = "Engines:\n";
    for (const engine_ptr& e : to.engines) text += fmt::format("  {:<14}{}\n", e->name(), e->what());
    app.footer(
        text +
        "\nColumns: requests per second; the same as a multiple of raw-ring's; spread, the fastest round to the\n"
        "slowest; CPU time of this process per request; 99th percentile of the latency; system calls per\n"
        "request, exact for root, else under ptrace, which on a device makes them too low.");
}

void choose(arguments& to) {
    for (const engine_ptr& e : to.engines)
        if (to.names.empty() || std::find(to.names.begin(), to.names.end(), e->name()) != to.names.end())
            to.what.engines.push_back(e.get());
    for (const engine* e : to.what.engines)
        if (!e->missing().empty()) fmt::print("{}: {}\n", e->name(), e->missing());
    std::sort(to.depths.begin(), to.depths.end());
    to.depths.erase(std::unique(to.depths.begin(), to.depths.end()), to.depths.end());
    auto const passes = (to.what.rounds + 3) * to.what.engines.size() * to.depths.size();
    to.what.seconds_per_pass = std::min(0.25, seconds_in_all / static_cast<double>(passes));
}

int run(arguments& with) {
    choose(with);
    input const in = open_input(with.input);
    fmt::print("Random reads of {} bytes from {}; {} interleaved rounds, medians.\n", with.input.block, in.description,
               with.what.rounds);
    if (!in.notice.empty()) fmt::print("{}\n", in.notice);
    std::fflush(stdout);

    target to{in.file.fd(), in.size / with.input.block, with.input.block, 0};
    std::vector<row> rows;
    call_counts notes;
    for (unsigned depth : with.depths) {
        to.depth = depth;
        auto const more = measure(with.what, to, notes);
        rows.insert(rows.end(), more.begin(), more.end());
    }
    if (rows.empty()) throw std::runtime_error("none of these engines can do any of these depths here");
    if (!notes.why_not.empty()) fmt::print("Some system calls are not counted: {}.\n", notes.why_not);
    if (notes.slowed)
        fmt::print("System calls were counted under ptrace, which slows them: on a device the true counts are higher. "
                   "As root they are exact.\n");
    fmt::print("\n{}\n{}", table(rows), meaning(rows, with.what.rounds));
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    arguments with;
    CLI::App app("Random reads through kaio, through the system calls by hand, and through libaio, side by side.",
                 "kaio-bench");
    add_options(app, with);
    CLI11_PARSE(app, argc, argv);
    hold_signals();
    try {
        return run(with);
    } catch (const interrupted& by) {
        fmt::print(stderr, "kaio-bench: interrupted\n");
        return 128 + by.signal;
    } catch (const std::exception& error) {
        fmt::print(stderr, "kaio-bench: {}\n", error.what());
        return 1;
    }
}
