#include "progress.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

namespace bench {

progress_line::progress_line(std::size_t steps, bool quiet)
    : steps_(std::max<std::size_t>(steps, 1)), shown_(!quiet && ::isatty(STDERR_FILENO) == 1) {}

void progress_line::step(const std::string& what) {
    ++done_;
    if (!shown_ || clock::now() - last_ < std::chrono::milliseconds(100)) return;
    last_ = clock::now();
    double const share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(steps_));
    double const passed = std::chrono::duration<double>(last_ - start_).count();
    fmt::print(stderr, "\r\033[K[{:3.0f} %] about {:.0f} s left; {}", share * 100, passed / share - passed, what);
    std::fflush(stderr);
}

void progress_line::clear() {
    if (!shown_) return;
    fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
}

} // namespace bench
