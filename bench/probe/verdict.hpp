// Judges many timed requests of one kind, by medians and by majorities, so that noise does not change the verdict.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace probe {

enum class verdict {
    asynchronous, // io_submit returns before the request completes
    blocks,       // the thread waits inside io_submit for the request, or for most of it
    at_once,      // the processor does all of it inside io_submit, as fast as memory allows
};
const char* text(verdict v) noexcept;

struct sample {
    double submit;   // µs inside io_submit, without the time that other threads had the processor
    double complete; // µs from the call of io_submit to the completion
    bool inside;     // the request was complete when io_submit returned
    bool slept;      // the thread went to sleep inside io_submit
    // The request was complete, and the thread had not slept but lost the processor to another thread. That may be the
    // one that carries out the request, whether io_submit waits for it or not.
    bool unclear = false;
};

// What a loop with helpers makes of such requests.
struct helped {
    double stuck = 0;     // median of the longest turn for a request, µs: then the loop's thread could do nothing else
    double by_helper = 0; // share of the requests that a helper has submitted, 0 to 1
    double slept = 0;     // share of the requests for which the loop's thread slept inside a turn
    std::string error;    // why it could not be measured; if not "", the other members mean nothing
};

constexpr std::size_t few = 11; // enough samples for a median

struct timing {
    double submit = 0, complete = 0; // medians, µs
    double inside = 0, slept = 0;    // shares of the requests, 0 to 1
    std::size_t repetitions = 0;
    probe::verdict verdict = verdict::asynchronous;
    std::string note;  // a remark, or ""
    std::string error; // why it could not be measured; if not "", the other members mean nothing
    probe::helped helped{};
};

// Returns the most time (µs) that so many bytes take in memory. It is more than a system call and a copy take on any
// processor, and less than any device takes.
constexpr double at_once_limit(std::size_t bytes) noexcept { return 20 + static_cast<double>(bytes) / 4000; }

// Each of the requests transferred `bytes`. REQUIRES: there are samples
timing judge(std::vector<sample> samples, std::size_t bytes);

} // namespace probe
