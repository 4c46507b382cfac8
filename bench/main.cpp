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

target target_of(const medium& medium, const chapter& chapter, unsigned depth, unsigned jobs) {
    return {medium.file.fd(),
            &medium.others,
            medium.size / chapter.block_size,
            chapter.block_size,
            chapter.pattern,
            chapter.state,
            depth,
            jobs};
}

// Opens the medium, and fills in what the chapter says about it.
medium open_chapter(const settings& settings, const std::string& kind, chapter& chapter) {
    medium_options options = settings.medium;
    options.kind = kind;
    options.openings = settings.jobs.back();
    chapter.rw = settings.rw;
    chapter.pattern = settings.pattern;
    chapter.state = settings.medium.state;
    chapter.block_size = settings.medium.block;
    if (kind == "null") { // /dev/null has no fsync, and only writes cost nothing there
        chapter.rw = "randwrite";
        chapter.pattern = {order::random, 0, 0};
    }
    medium opened = open_medium(options);
    chapter.medium = kind == "filename" ? settings.medium.filename : kind;
    chapter.description = opened.description;
    chapter.notice = opened.notice;
    chapter.direct = opened.file.direct() ? "yes" : opened.file.direct_ignored() ? "ignored" : "no";
    return opened;
}

// Allows as many descriptors as the system lets this process have: engines register and duplicate them.
void raise_limits() {
    rlimit limit;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

int run_alone(const settings& settings) {
    bench::chapter chapter;
    bench::medium const medium = open_chapter(settings, settings.media.front(), chapter);
    bench::run_alone(*settings.plan.engines.front(),
                     target_of(medium, chapter, settings.depths.front(), settings.jobs.front()), settings.alone,
                     settings.plan.seed);
    return 0;
}

void write_json(const settings& settings, const std::string& text) {
    if (settings.json == "-") {
        fmt::print("{}\n", text);
        return;
    }
    std::FILE* const file = std::fopen(settings.json.c_str(), "w");
    bool const written = file && std::fputs(text.c_str(), file) >= 0;
    if ((file && std::fclose(file) != 0) || !written)
        throw std::system_error(errno, std::system_category(), settings.json);
}

int run(const settings& settings) {
    bool const words = settings.json != "-";
    std::size_t const groups = settings.media.size() * settings.depths.size() * settings.jobs.size();
    progress_line line(groups * passes(settings.plan) * settings.plan.engines.size(), settings.quiet);
    std::vector<chapter> all;
    for (const std::string& kind : settings.media) {
        line.step("making " + kind);
        bench::chapter chapter;
        bench::medium const medium = open_chapter(settings, kind, chapter);
        for (unsigned jobs : settings.jobs)
            for (unsigned depth : settings.depths) {
                auto rows =
                    measure(settings.plan, target_of(medium, chapter, depth, jobs), [&](const std::string& what) {
                        line.step(fmt::format("{}, depth {}, {}", chapter.medium, depth, what));
                    });
                std::move(rows.begin(), rows.end(), std::back_inserter(chapter.rows));
            }
        if (chapter.rows.empty()) throw std::runtime_error("none of these engines can do any of these depths");
        line.clear();
        if (words) fmt::print("{}\n", table(chapter));
        std::fflush(stdout);
        all.push_back(std::move(chapter));
    }

    instruction_counts instructions;
    if (settings.instructions) {
        unsigned const depth =
            std::min(settings.depths.back(), 32u); // Valgrind maps less of the ring than the kernel fills
        instructions =
            count_instructions(settings.plan.engines, depth, [&](const std::string& what) { line.step(what); });
        line.clear();
        if (words) fmt::print("{}\n", table(instructions));
    }
    if (!settings.json.empty()) write_json(settings, to_json(settings, all, instructions));
    if (words) {
        if (std::string const notice = system_calls_notice(); !notice.empty()) fmt::print("{}\n", notice);
        fmt::print("{}", meaning(all, settings.plan.rounds));
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw std::runtime_error("the output can't be written");
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    bench::settings settings;
    if (auto const status = parse(argc, argv, settings)) return *status;
    hold_signals();
    raise_limits();
    try {
        return settings.alone != 0 ? run_alone(settings) : run(settings);
    } catch (const interrupted& by) {
        fmt::print(stderr, "kaio-bench: interrupted; all that was made is removed\n");
        return 128 + by.signal;
    } catch (const std::exception& error) {
        fmt::print(stderr, "kaio-bench: {}\n", error.what());
        return 1;
    }
}
