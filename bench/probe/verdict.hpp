// From many timed requests of one kind to a verdict that noise does not change: medians, and the votes of the requests.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace probe {

enum class verdict {
    asynchronous, // io_submit returns, and the request goes on
    blocks,       // the thread waits inside io_submit for the request, or for most of it
    at_once,      // the processor does it all inside io_submit, as quickly as memory allows
};
const char* text(verdict v) noexcept;

struct sample {
    double submit;   // µs inside io_submit, less what other threads took of the processor
    double complete; // µs from the call of io_submit to the completion
    bool inside;     // it was complete when io_submit returned
    bool slept;      // the thread went to sleep inside io_submit
    // It was complete, and the thread had not slept but lost the processor to another: perhaps to the one that carries
    // out the request, whether io_submit waits for that or not.
    bool unclear = false;
};

constexpr std::size_t few = 11; // samples that are worth a median

struct timing {
    double submit = 0, complete = 0; // medians, µs
    double inside = 0, slept = 0;    // shares of the requests, 0 to 1
    std::size_t repetitions = 0;
    probe::verdict verdict = verdict::asynchronous;
    std::string note;  // what else there is to know, or ""
    std::string error; // why it could not be measured; then nothing else counts
};

// What so many bytes need at most in memory, µs: more than any processor's system call and copy take, and less than
// any device's answer.
constexpr double at_once_limit(std::size_t bytes) noexcept { return 20 + static_cast<double>(bytes) / 4000; }

// `bytes` is what each of the requests transfers. REQUIRES: there are samples
timing judge(std::vector<sample> samples, std::size_t bytes);

} // namespace probe
