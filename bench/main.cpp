// kaio-bench: disk requests through kaio, through the system calls by hand, and through its peers, side by side.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>

#include "instructions.hpp"
#include "json.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "report.hpp"
#include "system_calls.hpp"

namespace {

using namespace bench;

target target_of(const medium& on, const chapter& of, unsigned depth, unsigned jobs) {
    return {on.file.fd(), &on.others, on.size / of.block_size, of.block_size, of.what, depth, jobs};
}

// Opens the medium and says what will be done there.
medium open_chapter(const settings& with, const std::string& kind, chapter& of) {
    medium_options options = with.medium;
    options.kind = kind;
    options.openings = with.jobs.back();
    of.rw = with.rw;
    of.what = with.what;
    of.block_size = with.medium.block;
    if (kind == "null") { // only writes cost nothing there, and it knows no fsync
        of.rw = "randwrite";
        of.what = {true, 0, 0};
    }
    medium on = open_medium(options);
    of.medium = kind == "filename" ? with.medium.filename : kind;
    of.description = on.description;
    of.notice = on.notice;
    of.direct = on.file.direct() ? "yes" : on.file.direct_ignored() ? "ignored" : "no";
    return on;
}

// Registered and duplicated descriptors, threads and their stacks: as many as the system lets this process have.
void raise_limits() {
    rlimit limit;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run_alone(const settings& with) {
    chapter of;
    medium const on = open_chapter(with, with.media.front(), of);
    bench::run_alone(*with.how.engines.front(), target_of(on, of, with.depths.front(), with.jobs.front()), with.alone,
                     with.how.seed);
    return 0;
}

void write_json(const settings& with, const std::string& text) {
    if (with.json == "-") {
        fmt::print("{}\n", text);
        return;
    }
    std::FILE* const file = std::fopen(with.json.c_str(), "w");
    bool const written = file && std::fputs(text.c_str(), file) >= 0;
    if ((file && std::fclose(file) != 0) || !written) throw std::system_error(errno, std::system_category(), with.json);
}

int run(const settings& with) {
    bool const words = with.json != "-";
    std::size_t const groups = with.media.size() * with.depths.size() * with.jobs.size();
    progress_line line(groups * passes(with.how) * with.how.engines.size(), with.quiet);
    std::vector<chapter> all;
    for (const std::string& kind : with.media) {
        line.step("making " + kind);
        chapter of;
        medium const on = open_chapter(with, kind, of);
        for (unsigned jobs : with.jobs)
            for (unsigned depth : with.depths) {
                auto rows = measure(with.how, target_of(on, of, depth, jobs), [&](const std::string& what) {
                    line.step(fmt::format("{}, depth {}, {}", of.medium, depth, what));
                });
                std::move(rows.begin(), rows.end(), std::back_inserter(of.rows));
            }
        if (of.rows.empty()) throw std::runtime_error("none of these engines can do any of these depths");
        line.clear();
        if (words) fmt::print("{}\n", table(of));
        std::fflush(stdout);
        all.push_back(std::move(of));
    }

    instruction_counts instructions;
    if (with.instructions) {
        unsigned const depth =
            std::min(with.depths.back(), 32u); // valgrind maps less of the ring than the kernel fills
        instructions = count_instructions(with.how.engines, depth, [&](const std::string& what) { line.step(what); });
        line.clear();
        if (words) fmt::print("{}\n", table(instructions));
    }
    if (!with.json.empty()) write_json(with, to_json(with, all, instructions));
    if (words) {
        if (std::string const notice = system_calls_notice(); !notice.empty()) fmt::print("{}\n", notice);
        fmt::print("{}", meaning(all, with.how.rounds));
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw std::runtime_error("the output can't be written");
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    settings with;
    if (auto const status = parse(argc, argv, with)) return *status;
    hold_signals();
    raise_limits();
    try {
        return with.alone != 0 ? run_alone(with) : run(with);
    } catch (const interrupted& by) {
        fmt::print(stderr, "kaio-bench: interrupted; all that was made is removed\n");
        return 128 + by.signal;
    } catch (const std::exception& error) {
        fmt::print(stderr, "kaio-bench: {}\n", error.what());
        return 1;
    }
}
