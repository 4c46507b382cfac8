// notifier: lets a foreign event loop (epoll, libuv, Asio, poll) drive a kaio loop, through one descriptor that is
// readable when the loop has something to do: a completion, a post, or a timer that is due.
//     kaio::notifier notifier(loop);          // before anything is submitted, and before other threads post
//     watch(notifier.fd(), EPOLLIN);
//     if (readable(notifier.fd())) notifier.poll();
//     notifier.update();                      // after submitting or cancelling elsewhere than in a handler
// Handlers run inside poll, on its caller's stack, and the kernel gets the requests in poll and update. A loop has one
// notifier at a time. Its thread is the loop's. It must be destroyed before the loop. Meanwhile the loop must neither
// be run by itself nor moved.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

// For a basic_loop on the real kernel, with any observer.
template <class Loop> class notifier {
public:
    // Errors: throws std::system_error: EMFILE or ENFILE (it needs three descriptors), ENOMEM, EINVAL (the loop is not
    // usable), EBUSY (the loop has a notifier already, which stays as it is).
    explicit notifier(Loop& io_loop) : notifier(unwrap(try_make(io_loop))) {}

    // The same without exceptions.
    static result<notifier> try_make(Loop& io_loop) noexcept {
        notifier made(io_loop, ::epoll_create1(EPOLL_CLOEXEC));
        if (int const error = made.open(); error != 0) return failure(error);
        return made;
    }

    // For passing a notifier on. One that was moved from may only be destroyed.
    notifier(notifier&& other) noexcept
        : loop_(other.loop_), epoll_(std::exchange(other.epoll_, -1)), event_(std::exchange(other.event_, -1)),
          timer_(std::exchange(other.timer_, -1)), deadline_(other.deadline_),
          polling_(std::exchange(other.polling_, nullptr)) {
        tell_polls(this);
    }
    notifier(const notifier&) = delete;
    notifier& operator=(const notifier&) = delete;
    // A handler may destroy it: the poll that has called the handler then returns without it.
    ~notifier() {
        tell_polls(nullptr);
        if (event_ >= 0) loop_.detach(event_);
        for (int fd : {epoll_, event_, timer_})
            if (fd >= 0) ::close(fd);
    }

    // To be watched for reading (EPOLLIN, level- or edge-triggered), and for nothing else.
    int fd() const noexcept { return epoll_; }

    // Does what the loop's poll does, once, and then what update() does. Returns how many handlers were called. If
    // there is more to do at once, fd() stays readable, so that the foreign loop gets its turn. Without a trusted ring
    // (loop.uses_ring()) it does so while anything is in flight: only a poll can tell then.
    // Errors: those of the loop's poll. System calls: two reads, and those of the loop's poll and of update().
    std::size_t poll() {
        return try_poll().value("kaio: notifier.poll: make a new loop and notifier in a forked child");
    }
    result<std::size_t> try_poll() {
        // A forked child shares the descriptors with its parent, whose wake it would take.
        if (!loop_.usable()) return failure(EINVAL);
        drain(event_);
        drain(timer_);
        loop_.woken();
        Loop& io_loop = loop_; // the notifier may be gone before its poll returns
        unfinished_poll const last(*this);
        return io_loop.try_poll();
    }

    // Hands the kernel what was submitted, and sets fd() up for what comes next. It does nothing in a forked child.
    // System calls: an io_submit if there are requests, a timerfd_settime if the next timer has changed, a write if
    // there is something to do already.
    void update() noexcept {
        if (!loop_.usable()) return;
        loop_.woken();
        auto const next = loop_.prepare_to_wait();
        set_timer(next.deadline);
        if (next.ready) signal();
    }

private:
    // A poll on the stack. It updates the notifier at its end if there still is one: handlers may move or destroy it.
    struct unfinished_poll {
        notifier* self;
        unfinished_poll* const outer; // the poll whose handler called this one

        explicit unfinished_poll(notifier& polled) noexcept : self(&polled), outer(polled.polling_) {
            polled.polling_ = this;
        }
        unfinished_poll(const unfinished_poll&) = delete;
        unfinished_poll& operator=(const unfinished_poll&) = delete;
        ~unfinished_poll() {
            if (!self) return;
            self->polling_ = outer;
            self->update();
        }
    };
    void tell_polls(notifier* self) const noexcept {
        for (unfinished_poll* poll = polling_; poll; poll = poll->outer) poll->self = self;
    }

    notifier(Loop& io_loop, int epoll) noexcept : loop_(io_loop), epoll_(epoll) {}

    static notifier unwrap(result<notifier> made) {
        if (!made)
            detail::throw_error(made.error().value(),
                                "kaio: notifier: it needs three descriptors (for EMFILE raise RLIMIT_NOFILE); EINVAL "
                                "means that the loop was moved from, or is the forking process's: make a new loop; "
                                "EBUSY that the loop has a notifier already: use that one");
        return std::move(*made);
    }

    // Returns an errno, or 0.
    int open() noexcept {
        if (!loop_.usable()) return EINVAL;
        if (epoll_ < 0) return errno;
        event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event_ < 0 || !watch(event_)) return errno;
        timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (timer_ < 0 || !watch(timer_)) return errno;
        if (!loop_.attach(event_)) return EBUSY;
        update();
        return 0;
    }

    bool watch(int fd) const noexcept {
        epoll_event event{};
        event.events = EPOLLIN;
        return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
    }

    void signal() const noexcept {
        std::uint64_t const one = 1;
        while (::write(event_, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }

    static void drain(int fd) noexcept {
        std::uint64_t ignored;
        while (::read(fd, &ignored, sizeof ignored) < 0 && errno == EINTR) {
        }
    }

    void set_timer(std::int64_t deadline) noexcept {
        if (deadline == deadline_) return;
        deadline_ = deadline;
        itimerspec when{}; // all zeros: no timer
        if (deadline != duration::unlimited) {
            when.it_value.tv_sec = detail::narrow<time_t>(deadline / 1'000'000'000);
            when.it_value.tv_nsec = detail::narrow<long>(deadline % 1'000'000'000);
        }
        ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &when, nullptr);
    }

    Loop& loop_;
    int epoll_ = -1; // watches the other two; -1: moved from
    int event_ = -1; // completions and posts
    int timer_ = -1; // expires at deadline_
    std::int64_t deadline_ = duration::unlimited;
    unfinished_poll* polling_ = nullptr; // the innermost
};
template <class Loop> notifier(Loop&) -> notifier<Loop>;

} // namespace kaio
