// notifier: lets a foreign event loop (epoll, libuv, Asio, poll) drive a kaio loop, through one descriptor that is
// readable when the loop has something to do: a completion, a post, or a timer that is due.
//   1. Make the notifier before anything is submitted to the loop, and before other threads post; add fd() for reading.
//   2. Whenever it is readable, call poll(). Handlers run in there, on its caller's stack.
//   3. After submitting or cancelling elsewhere than in a handler, call update(): the kernel gets the requests there.
// A loop has one notifier at a time. Its thread is the loop's. It must be destroyed before the loop, and the loop neither
// be run by itself nor moved meanwhile.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

// `kaio::notifier notifier(loop);` for a basic_loop on the real kernel, with any observer.
template <class Loop> class notifier {
public:
    // Throws std::system_error: EMFILE or ENFILE (it needs three descriptors), ENOMEM, EINVAL (the loop is not usable),
    // EBUSY (the loop has a notifier already, which stays as it is).
    explicit notifier(Loop& driven) : notifier(unwrap(try_make(driven))) {}

    // The same without exceptions.
    static result<notifier> try_make(Loop& driven) noexcept {
        notifier made(driven, ::epoll_create1(EPOLL_CLOEXEC));
        if (int const error = made.open(); error != 0) return failure(error);
        return made;
    }

    // For passing a notifier on. A moved-from one may only be destroyed.
    notifier(notifier&& other) noexcept
        : loop_(other.loop_), epoll_(std::exchange(other.epoll_, -1)), event_(std::exchange(other.event_, -1)),
          timer_(std::exchange(other.timer_, -1)), deadline_(other.deadline_),
          dozing_(std::exchange(other.dozing_, false)), polling_(std::exchange(other.polling_, nullptr)) {
        tell_polls(this);
    }
    notifier(const notifier&) = delete;
    notifier& operator=(const notifier&) = delete;
    // A handler may destroy it: the poll that has called the handler then returns without it.
    ~notifier() {
        tell_polls(nullptr);
        if (event_ >= 0 && loop_.queue_.notified() == event_) {
            rouse();
            loop_.queue_.notify(-1);
            loop_.mailbox_.notify(-1);
        }
        for (int fd : {epoll_, event_, timer_})
            if (fd >= 0) ::close(fd);
    }

    // To be watched for reading (EPOLLIN; level- or edge-triggered), and for nothing else.
    int fd() const noexcept { return epoll_; }

    // What the loop's poll does, once, and then as update(). Returns how many handlers were called, and throws what the
    // loop's poll throws. If there is more to do at once, fd() stays readable, so that the foreign loop gets its turn.
    // Without a trusted ring (loop.uses_ring()) it does so while anything is in flight: only a poll can tell then.
    // System calls: two reads, and those of the loop's poll and of update().
    std::size_t poll() { return try_poll().value(Loop::unusable); }
    result<std::size_t> try_poll() {
        // A forked child shares the descriptors with its parent, whose wake it would take.
        if (!loop_.context_.usable()) return failure(EINVAL);
        drain(event_);
        drain(timer_);
        rouse();
        Loop& driven = loop_; // the notifier may be gone before its poll returns
        unfinished_poll const last(*this);
        return driven.try_poll();
    }

    // Gives the kernel what was submitted, and sets fd() up for what comes next. Nothing in a forked child. System calls:
    // an io_submit if there are requests, a timerfd_settime if the next timer has changed, a write if there is something
    // to do already.
    void update() noexcept {
        if (!loop_.context_.usable()) return;
        rouse();
        loop_.flush();
        // Refused for want of room with nothing in flight: no completion will say when to try again.
        bool const again = loop_.queue_.ready(loop_.context_);
        dozing_ = loop_.mailbox_.doze(loop_.context_);
        set_timer(next_deadline());
        if (!dozing_ || again || loop_.has_completions()) signal();
    }

private:
    // A poll on the stack. It updates the notifier at its end, if there is one then: handlers may move or destroy it.
    struct unfinished_poll {
        notifier* self;
        unfinished_poll* const outer; // a handler of which calls this one

        explicit unfinished_poll(notifier& of) noexcept : self(&of), outer(of.polling_) { of.polling_ = this; }
        unfinished_poll(const unfinished_poll&) = delete;
        unfinished_poll& operator=(const unfinished_poll&) = delete;
        ~unfinished_poll() {
            if (!self) return;
            self->polling_ = outer;
            self->update();
        }
    };
    void tell_polls(notifier* where) const noexcept {
        for (unfinished_poll* poll = polling_; poll; poll = poll->outer) poll->self = where;
    }

    notifier(Loop& driven, int epoll) noexcept : loop_(driven), epoll_(epoll) {}

    static notifier unwrap(result<notifier> made) {
        if (!made)
            detail::throw_error(made.error().value(),
                                "kaio: notifier: it needs three descriptors (for EMFILE raise RLIMIT_NOFILE); EINVAL "
                                "means that the loop was moved from, or is the forking process's: make a new loop; "
                                "EBUSY that the loop has a notifier already: use that one");
        return std::move(*made);
    }

    int open() noexcept {
        if (!loop_.context_.usable()) return EINVAL;
        if (loop_.queue_.notified() >= 0) return EBUSY;
        if (epoll_ < 0) return errno;
        event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event_ < 0 || !watch(event_)) return errno;
        timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (timer_ < 0 || !watch(timer_)) return errno;
        loop_.queue_.notify(event_);
        loop_.mailbox_.notify(event_);
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

    void rouse() noexcept {
        if (dozing_) loop_.mailbox_.rouse(loop_.context_);
        dozing_ = false;
    }

    // Of the first timer, or to see whether a wake that is due has failed.
    std::int64_t next_deadline() const noexcept {
        std::int64_t const first = loop_.timers_.first();
        if (!loop_.mailbox_.wake_due()) return first;
        std::int64_t const limit = loop_.now() + loop_.mailbox_.bounded(duration()).ns();
        return first < limit ? first : limit;
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
    bool dozing_ = false;                // a post has to wake
    unfinished_poll* polling_ = nullptr; // the innermost
};
template <class Loop> notifier(Loop&) -> notifier<Loop>;

} // namespace kaio
