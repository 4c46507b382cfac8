#include "instructions.hpp"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr unsigned fewer = 2'000, more = 10'000;

// Returns the instructions of the whole program, or 0.
double collected(const std::string& program, const engine& engine, unsigned depth, unsigned requests) {
    std::string const command =
        fmt::format("valgrind --tool=callgrind --callgrind-out-file=/dev/null '{}' --medium=null --rw=randwrite "
                    "--ioengine={} --iodepth={} --alone={} 2>&1",
                    program, engine.name, depth, requests);
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    if (!pipe) return 0;
    double count = 0;
    char line[512];
    while (std::fgets(line, sizeof line, pipe)) std::sscanf(line, "==%*d== Collected : %lf", &count);
    return ::pclose(pipe) == 0 ? count : 0;
}

} // namespace

instruction_counts count_instructions(const std::vector<const engine*>& engines, unsigned depth,
                                      const std::function<void(const std::string&)>& progress) {
    instruction_counts made{depth, {}};
    bool const possible = std::system("command -v valgrind >/dev/null 2>&1") == 0;
    char program[4096] = {};
    if (::readlink("/proc/self/exe", program, sizeof program - 1) < 0) return made;
    for (const engine* engine : engines) {
        if (depth > engine->deepest) continue;
        progress("instructions: " + engine->name);
        stop_if_asked();
        instruction_count& count = made.all.emplace_back(instruction_count{engine, engine->missing, 0});
        if (!possible) count.why_not = "valgrind is not installed";
        if (!count.why_not.empty()) continue;
        double const few = collected(program, *engine, depth, fewer), many = collected(program, *engine, depth, more);
        if (few == 0 || many <= few)
            count.why_not = "does not run under valgrind here";
        else
            count.per_request = (many - few) / (more - fewer);
    }
    return made;
}

} // namespace bench
