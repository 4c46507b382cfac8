// log run SECONDS FILE: appends numbered records to the log of docs/examples/wal.hpp, which is begun anew.
// Prints how many were acknowledged and, if the log has failed, its error.
// log check FILE COUNT: recovers the log. The exit status is 1 unless the first COUNT records are there, each as it was
// appended, and nothing but the records that follow them.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>

#include <kaio/kaio.hpp>

#include "../../docs/examples/wal.hpp"

namespace {

constexpr unsigned at_once = 16;
constexpr std::int64_t rest = 10'000'000; // ns between two appends of one writer

using log_type = write_ahead_log<kaio::loop>;

// The record's length and bytes follow from its number.
std::vector<std::byte> record(std::uint64_t number) {
    auto const size = static_cast<std::size_t>(sizeof number + number % 1000);
    std::vector<std::byte> bytes(size, static_cast<std::byte>(number));
    std::memcpy(bytes.data(), &number, sizeof number);
    return bytes;
}

int run(std::int64_t seconds, const char* path) {
    kaio::file const file = kaio::file::open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0644);
    kaio::loop loop(4);
    log_type log(loop, file);
    if (auto const error = log.recover([](auto) {})) throw std::system_error(error, "recovering an empty log");
    std::uint64_t appended = 0, acknowledged = 0;
    std::error_code failed;
    std::int64_t const end = kaio::linux_kernel::now() + seconds * 1'000'000'000;
    std::function<void()> const append = [&] {
        if (failed || kaio::linux_kernel::now() > end) return;
        log.append(record(appended++), [&](std::error_code error) {
            if (error)
                failed = error;
            else
                ++acknowledged; // in their order
            loop.submit(kaio::after(kaio::duration::from_ns(rest)), [&](kaio::io_result) { append(); });
        });
    };
    for (unsigned i = 0; i < at_once; ++i) append();
    loop.run();
    std::printf("acknowledged: %llu\n", static_cast<unsigned long long>(acknowledged));
    if (failed) std::printf("errno %d, %s\n", failed.value(), failed.message().c_str());
    return 0;
}

int check(const char* path, std::uint64_t count) {
    kaio::file const file = kaio::file::open(path, O_RDWR | O_DIRECT);
    kaio::loop loop(4);
    log_type log(loop, file);
    std::uint64_t found = 0, wrong = 0;
    auto const error = log.recover([&](std::span<const std::byte> bytes) {
        auto const expected = record(found++);
        wrong += !std::equal(bytes.begin(), bytes.end(), expected.begin(), expected.end());
    });
    if (error) throw std::system_error(error, "recovering the log");
    std::printf("found: %llu\nwrong: %llu\n", static_cast<unsigned long long>(found),
                static_cast<unsigned long long>(wrong));
    return wrong == 0 && found >= count ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    std::string_view const mode = argc == 4 ? argv[1] : "";
    try {
        if (mode == "run") return run(std::atoi(argv[2]), argv[3]);
        if (mode == "check") return check(argv[2], std::strtoull(argv[3], nullptr, 10));
        std::fputs("usage: log run SECONDS FILE\n       log check FILE COUNT\n", stderr);
        return 2;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "log: %s\n", failure.what());
        return 1;
    }
}
