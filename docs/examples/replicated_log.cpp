// replicated_log FILE FILE FILE...: a log on several disks, whose records are lines. Prints those that are there, then
// appends the lines of its input, and says how many a majority of the disks has. One of three disks may fail or hang
// meanwhile, and two of five.
#include "replicated_log.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <kaio/kaio.hpp>

#include "loop_thread.hpp"

namespace {

using namespace std::chrono_literals;
using log_of_lines = replicated_log<kaio::loop>;

constexpr std::uint64_t id = 0x6c6f67206f662031; // of this program's logs. One that has several gives each its own.

// Appends every line. Returns how many were acknowledged, and the first error.
kaio::task<std::error_code> append_lines(log_of_lines& log, unsigned& acknowledged) {
    for (std::string line; std::getline(std::cin, line); ++acknowledged) {
        std::error_code const error = co_await log.append(std::as_bytes(std::span(line)));
        if (error) co_return error; // it may be in the log, or not: the next run prints it, or does not
    }
    co_return std::error_code();
}

// Gives the slowest disk some time to get the last records, too. Returns the number of those that lack some.
kaio::task<std::size_t> wait_for_all(kaio::loop& home, log_of_lines& log, std::size_t copies) {
    std::size_t missing = copies;
    for (int tries = 0; tries < 200 && missing != 0; ++tries) {
        (void)co_await home.sleep_for(5ms);
        missing = 0;
        for (std::size_t i = 0; i < copies; ++i) missing += log.behind(i) != 0;
    }
    co_return missing;
}

int run(std::span<char*> paths) {
    std::deque<loop_thread> disks(paths.size());
    std::deque<kaio::file> files;
    std::vector<log_of_lines::copy> copies;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        auto opened = kaio::file::try_open(paths[i], O_RDWR | O_CREAT | O_DIRECT, 0644);
        if (opened)
            copies.push_back({disks[i].loop(), files.emplace_back(std::move(*opened))});
        else
            copies.push_back({disks[i].loop(), -1}); // the others may be a majority
        if (!opened) std::fprintf(stderr, "%s: %s\n", paths[i], opened.error().message().c_str());
    }

    kaio::loop home(8);
    log_of_lines log(home, id, copies);
    auto const print = [](std::span<const std::byte> record) {
        std::printf("%.*s\n", static_cast<int>(record.size()), reinterpret_cast<const char*>(record.data()));
    };
    unsigned acknowledged = 0;
    std::error_code error = kaio::sync_wait(home, log.recover(print));
    if (!error) error = kaio::sync_wait(home, append_lines(log, acknowledged));
    std::size_t const missing = kaio::sync_wait(home, wait_for_all(home, log, copies.size()));
    std::fprintf(stderr, "%u acknowledged, %zu of %zu disks are behind\n", acknowledged, missing, copies.size());
    if (error) std::fprintf(stderr, "%s\n", error.message().c_str());
    std::fflush(stdout);
    // The loops' destructors would wait for what hangs. (If a disk request does, the kernel still waits for it before
    // the process is gone.)
    if (missing != 0) std::_Exit(error ? 1 : 0);
    return error ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) try {
    if (argc >= 4) return run(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
    std::fprintf(stderr, "usage: replicated_log FILE FILE FILE...\n");
    return 2;
} catch (const std::exception& error) {
    std::fprintf(stderr, "replicated_log: %s\n", error.what());
    return 1;
}
