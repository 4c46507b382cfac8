// kaio-probe DIR: what is truly asynchronous on the file system under DIR?
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include "operations.hpp"
#include "report.hpp"
#include "scratch.hpp"

namespace {

struct arguments {
    std::string directory;
    bool json = false;
    std::size_t block = 4096;
    probe::effort effort;
};

void add_options(CLI::App& app, arguments& arguments) {
    app.add_option("DIR", arguments.directory, "A directory on the file system to probe; it must be writable")
        ->required();
    app.add_flag("--json", arguments.json, "JSON instead of the table; docs/probe.md lists its keys");
    app.add_option("--block", arguments.block, "Bytes of one request, such as 16K: a power of two")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Validator(
            [](std::string& text) {
                auto const n = std::stoull(text);
                bool const good = n >= 512 && n <= 256 << 10 && (n & (n - 1)) == 0;
                return good ? std::string() : "must be a power of two from 512 to 256K";
            },
            "512..256K"))
        ->capture_default_str();
    app.add_option("--repetitions", arguments.effort.repetitions, "Requests of each kind, of which the median is taken")
        ->check(CLI::Range(20u, 10'000u))
        ->capture_default_str();
    app.add_option("--seconds", arguments.effort.seconds, "Time after which a slow kind of request is repeated no more")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    app.footer("Exit status: 0, whatever was found; 1 if nothing could be measured, with cause and remedy; 2 for bad "
               "arguments.\n\n"
               "Examples:\n"
               "  kaio-probe /var/lib/postgresql\n"
               "  kaio-probe --block 16K /mnt/data\n"
               "  kaio-probe --json /mnt/data | jq -r '.operations[] | [.name, .verdict] | @tsv'\n\n"
               "It writes to temporary files of its own in DIR, which have no name and vanish with it.");
}

// Shows on a terminal what the program is doing.
void progress(const std::string& text) {
    static bool const shown = ::isatty(STDERR_FILENO);
    if (shown) fmt::print(stderr, "\r\033[K{}", text);
}

// Keeps the kernel's threads from taking the processor in the middle of io_submit, if that is permitted (root). A
// request that is then complete when io_submit returns was waited for. The kernel's threads run while this one sleeps.
void go_first() {
    sched_param const lowest{.sched_priority = 1};
    (void)::sched_setscheduler(0, SCHED_FIFO, &lowest);
}

probe::findings run(const arguments& arguments) {
    probe::findings all;
    all.directory = arguments.directory;
    all.around = probe::look_around(arguments.directory);
    all.block = arguments.block;
    probe::need_room(arguments.directory, probe::room_needed(arguments.block, arguments.effort.repetitions));
    kaio::context context(1);
    all.ring = context.uses_ring();
    go_first();
    {
        probe::scratch const file(arguments.directory);
        all.alignment = file.buffered.alignment();
        all.alignment_found_by = probe::alignment_found_by(file.buffered);
        all.direct_error = file.direct_error;
        all.direct_ignored = file.direct.direct_ignored();
    }
    if (all.alignment_found_by == "statx" && arguments.block % all.alignment.offset != 0)
        throw std::runtime_error(
            fmt::format("--block {}: direct I/O here needs a multiple of {}", arguments.block, all.alignment.offset));
    for (const probe::operation& op :
         probe::make_operations(arguments.directory, arguments.block, arguments.effort.repetitions)) {
        progress(op.name);
        all.operations.emplace_back(op.name, probe::measure(context, op, arguments.effort));
    }
    // Again, with new files, because writes have changed these.
    std::size_t number = 0;
    for (const probe::operation& op :
         probe::make_operations(arguments.directory, arguments.block, arguments.effort.repetitions)) {
        probe::timing& timing = all.operations[number++].second;
        if (!timing.error.empty()) continue;
        progress(std::string(op.name) + ", with helpers");
        timing.helped = probe::measure_with_helpers(op, arguments.effort);
    }
    all.flags = probe::try_flags(context, arguments.directory, arguments.block);
    progress("");
    return all;
}

} // namespace

int main(int argc, char** argv) {
    ::arguments arguments;
    CLI::App app(
        "What is truly asynchronous on the file system under DIR? Measures how long requests of Linux native AIO "
        "stay inside io_submit and how long they take.",
        "kaio-probe");
    add_options(app, arguments);
    try {
        app.parse(argc, argv);
        probe::findings const all = run(arguments);
        fmt::print("{}", arguments.json ? probe::json(all) : probe::table(all));
        if (std::fflush(stdout) != 0) throw std::runtime_error("the output can't be written");
        return 0;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        progress("");
        fmt::print(stderr, "kaio-probe: {}\n", error.what());
        return 1;
    }
}
