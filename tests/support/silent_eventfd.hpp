// A descriptor that never becomes readable, unless the test writes to it.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

namespace test {

struct silent_eventfd {
    int const fd = ::eventfd(0, EFD_CLOEXEC);

    silent_eventfd() = default;
    silent_eventfd(const silent_eventfd&) = delete;
    silent_eventfd& operator=(const silent_eventfd&) = delete;
    ~silent_eventfd() { ::close(fd); }
};

} // namespace test
