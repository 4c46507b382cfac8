// libaio's calls, with kaio's types: what compat/libaio.hpp does. Results are not negative, or a negative errno, and errno
// stays as it is. A context that kaio does not have is the kernel's alone, as is what the kernel refuses. Any thread.
#pragma once

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>

#include <signal.h>
#include <time.h>

#include <kaio/compat/detail/libaio_contexts.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

class kept_errno {
public:
    kept_errno() noexcept = default;
    kept_errno(const kept_errno&) = delete;
    kept_errno& operator=(const kept_errno&) = delete;
    ~kept_errno() { errno = value_; }

private:
    int value_ = errno;
};

inline int libaio_setup(int capacity, aio_context_id* number) noexcept {
    kept_errno const kept;
    int const made = linux_kernel::io_setup(static_cast<unsigned>(capacity), number);
    if (made == 0) libaio_use::add(*number, static_cast<unsigned>(capacity));
    return made;
}

inline int libaio_destroy(aio_context_id number) noexcept {
    kept_errno const kept;
    if (libaio_use const context(number); context) return context.end() ? 0 : -EINVAL;
    return linux_kernel::io_destroy(number);
}

inline int libaio_submit(aio_context_id number, long count, iocb** batch) noexcept {
    kept_errno const kept;
    if (count > 0 && count <= INT_MAX && batch) {
        if (libaio_use const context(number); context) {
            submission const answer = context->submit_prefix({batch, static_cast<std::size_t>(count)});
            return answer ? static_cast<int>(answer.accepted()) : -answer.error_number();
        }
    }
    return static_cast<int>(linux_kernel::io_submit(number, count, batch));
}

inline int libaio_cancel(aio_context_id number, iocb* block, io_event* event) noexcept {
    kept_errno const kept;
    return linux_kernel::io_cancel(number, block, event);
}

// A negative time has passed.
inline duration libaio_limit(const timespec* time) noexcept {
    if (!time) return duration();
    std::int64_t const seconds = time->tv_sec;
    if (seconds < 0) return duration::zero();
    std::int64_t ns = 0;
    if (seconds > 9'000'000'000 || __builtin_add_overflow(seconds * 1'000'000'000, time->tv_nsec, &ns))
        return duration();
    return ns < 0 ? duration::zero() : duration::from_ns(ns);
}

inline int libaio_getevents(aio_context_id number, long min, long most, io_event* events, const timespec* timeout,
                            const sigset_t* mask) noexcept {
    kept_errno const kept;
    if (min >= 0 && min <= most && most > 0 && most <= INT_MAX && events) {
        if (libaio_use const context(number); context) {
            duration const limit = libaio_limit(timeout);
            auto const least = limit.ns() == 0 ? 0u : static_cast<unsigned>(min); // without time: what there is
            view<io_event> const room(events, static_cast<std::size_t>(most));
            result<unsigned> const taken = context->wait_once(room, least, limit, mask);
            return taken ? static_cast<int>(*taken) : -taken.error_number();
        }
    }
    kernel_timespec const time{timeout ? timeout->tv_sec : 0, timeout ? timeout->tv_nsec : 0};
    const kernel_timespec* const until = timeout ? &time : nullptr;
    return static_cast<int>(mask ? linux_kernel::io_pgetevents(number, min, most, events, until, mask)
                                 : linux_kernel::io_getevents(number, min, most, events, until));
}

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
