// A line on the terminal that shows how far the run is. If standard error is no terminal, there is none.
#pragma once

#include <chrono>
#include <string>

namespace bench {

class progress_line {
public:
    progress_line(std::size_t steps, bool quiet);
    ~progress_line() { clear(); }
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;

    void step(const std::string& what);
    void clear(); // to be called before anything else is printed

private:
    using clock = std::chrono::steady_clock;
    std::size_t steps_, done_ = 0;
    bool shown_;
    clock::time_point start_ = clock::now(), last_{};
};

} // namespace bench
