// basic_loop: many requests in flight, each with its handler. Submitted requests are gathered and given to the kernel
// in one batch; handlers run inside poll and run, on the caller's stack. A loop belongs to one thread, and only that
// thread may call it. What requests and handlers refer to must outlive them: declare it before the loop.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/timeout.hpp>
#include <kaio/loop/observer.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/poll_budget.hpp>
#include <kaio/loop/poll_list.hpp>
#include <kaio/loop/slab.hpp>

namespace kaio {

struct loop_options {
    // How long, at most, to look at the empty ring before sleeping in the kernel, which costs CPU and saves the time of
    // falling asleep and waking up. Within this bound the loop finds out by itself how much pays.
    // timeout::zero(): sleep at once. timeout(): never sleep, never make a system call to wait.
    timeout poll_limit = timeout::from_ns(100'000);
    context_options setup = {};
};

template <kernel Kernel = linux_kernel, class Observer = no_observer> class basic_loop {
public:
    // Room for `capacity` requests in flight, 1 or more; what is submitted beyond that waits in the loop, first in,
    // first out. Throws std::system_error as basic_context does, or ENOMEM. Allocates for `capacity` requests, so that
    // the steady state allocates nothing.
    explicit basic_loop(unsigned capacity, loop_options options = {}, Kernel kernel = {})
        : basic_loop(basic_context<Kernel>(capacity, options.setup, std::move(kernel)), options.poll_limit) {
        if (!reserve()) detail::throw_error(ENOMEM, "kaio: loop: no memory for its operations");
    }

    // The same without exceptions.
    static result<basic_loop> try_make(unsigned capacity, loop_options options = {}, Kernel kernel = {}) noexcept {
        auto made = basic_context<Kernel>::try_make(capacity, options.setup, std::move(kernel));
        if (!made) return result<basic_loop>::failure(made.error().value());
        basic_loop fresh(std::move(*made), options.poll_limit);
        if (!fresh.reserve()) return result<basic_loop>::failure(ENOMEM);
        return fresh;
    }

    // For passing a new loop on. A moved-from loop gives EINVAL for everything; an operation of the caller's that is
    // submitted to it completes with ECANCELED when it is destroyed. REQUIRES: nothing was submitted and is not complete.
    basic_loop(basic_loop&& other) noexcept
        : context_(std::move(other.context_)), slab_(std::move(other.slab_)), storage_(std::move(other.storage_)),
          events_(std::exchange(other.events_, nullptr)), batch_(std::exchange(other.batch_, nullptr)),
          capacity_(std::exchange(other.capacity_, 0)), batch_end_(std::exchange(other.batch_end_, nullptr)),
          batch_limit_(std::exchange(other.batch_limit_, nullptr)), budget_(other.budget_),
          observer_(std::move(other.observer_)) {
        assert(idle() && other.waiting_count_ == 0 && other.undelivered() == 0 &&
               "kaio: a loop was moved while requests were in it");
    }
    basic_loop& operator=(basic_loop&&) = delete;

    // Completes everything: polls are cancelled, what is in flight is waited for and its handlers run, with their
    // results; what the kernel has not been given, and what handlers submit now, completes with ECANCELED. A handler
    // that throws here ends the program. In a forked child nothing is waited for and no handler runs: the requests, and
    // what their handlers own, are the parent's.
    ~basic_loop() {
        if (!context_.usable() && capacity_ != 0) return;
        for (;;) {
            cancel_unsubmitted();
            polls_.for_each([this](iocb& block) { (void)context_.cancel(block); });
            gather();
            if (dispatch() != 0) continue;
            if (context_.in_flight() == 0) return;
            if (result<unsigned> const got = context_.wait({events_, capacity_}))
                gathered(*got);
            else if (got.error().value() != EINTR)
                return; // the context's own destructor still waits for the kernel
        }
    }

    // Takes a request on: it goes to the kernel at the next flush, poll or run. `handler(io_result)` is called exactly
    // once, inside poll or run (or the destructor), with the kernel's result or the error io_submit gave for it. A handler
    // may submit, poll, run and throw; a handler that throws lets the exception out of poll or run, and the loop goes
    // on from there. Handlers of more than 48 bytes cost an allocation each. No system call.
    // Throws std::system_error (ENOMEM; EINVAL if it was moved from), and then nothing was submitted.
    template <class Handler>
        requires(!std::is_base_of_v<operation, std::remove_cvref_t<Handler>>)
    void submit(const request& what, Handler&& handler) {
        if (!accept(what, std::forward<Handler>(handler))) [[unlikely]]
            throw_refusal();
        slab_.grow_if_full(); // last, so that the fast path has nothing to keep for afterwards
    }

    // The same without exceptions: ENOMEM or EINVAL, and the handler is untouched.
    template <class Handler>
        requires(!std::is_base_of_v<operation, std::remove_cvref_t<Handler>>)
    result<void> try_submit(const request& what, Handler&& handler) {
        if (!accept(what, std::forward<Handler>(handler))) [[unlikely]]
            return result<void>::failure(refusal());
        slab_.grow_if_full();
        return {};
    }

    // The same with an operation that the caller owns, and that must stay until it has completed. Never fails and never
    // allocates. REQUIRES: it is neither in flight nor waiting.
    void submit(const request& what, operation& op) noexcept {
        assert(!op.busy() && "kaio: an operation was submitted again before it had completed");
        op.set_busy();
        enqueue(op, what.block());
    }

    // Gives all that was submitted, and that has room, to the kernel: one io_submit, however many requests; none if
    // there are none. Calls no handler: a request that io_submit refuses completes at the next poll. If the kernel has
    // no room (EAGAIN), the rest is kept, and tried again when something has completed. Returns how many were taken.
    unsigned flush() noexcept {
        unsigned accepted = 0;
        while (batch_end_ != batch_ && !(kernel_full_ && context_.in_flight() != 0)) {
            unsigned const taken = submit_batch();
            accepted += taken;
            if (kernel_full_) break;
        }
        return accepted;
    }

    // Flushes, then calls the handlers of what has completed; never waits. Returns how many it called. No system call
    // but the flush's (without a trusted ring, one io_getevents if something is in flight).
    // Throws what a handler throws, and std::system_error (EINVAL) in a forked child or if it was moved from.
    std::size_t poll() { return try_poll().value(unusable); }
    result<std::size_t> try_poll() {
        if (!context_.usable()) return result<std::size_t>::failure(EINVAL);
        flush();
        gather();
        return dispatch();
    }

    // Runs until nothing is in flight or waiting, and returns how many handlers it called. While there is nothing to do
    // it looks at the ring for a time that adapts (loop_options::poll_limit), then sleeps in one io_getevents. Signals
    // do not end it. Errors as poll's, and what io_getevents gives.
    std::size_t run() { return try_run().value(unusable); }
    result<std::size_t> try_run() { return drive(false, timeout::unlimited); }

    // The same until one handler was called: returns 1, or 0 if nothing is in flight or waiting.
    std::size_t run_one() { return try_run_one().value(unusable); }
    result<std::size_t> try_run_one() { return drive(true, timeout::unlimited); }

    // The same until `limit` (a std::chrono duration or alike) has passed: that ends the wait and no request.
    std::size_t run_for(timeout limit) { return try_run_for(limit).value(unusable); }
    result<std::size_t> try_run_for(timeout limit) {
        if (limit.is_unlimited()) return try_run();
        std::int64_t const now = context_.get_kernel().now();
        return drive(false, limit.ns() < timeout::unlimited - now ? now + limit.ns() : timeout::unlimited);
    }

    // Requests that the kernel was given (or has refused) and whose handlers have not been called yet.
    std::size_t in_flight() const noexcept { return capacity_ - room() - batched() + undelivered(); }

    // Requests that were submitted to the loop and not yet given to the kernel.
    std::size_t waiting() const noexcept { return batched() + waiting_count_; }

    // Requests that can be in flight at once: what was asked for, or what context_options::at_least made do with.
    unsigned capacity() const noexcept { return capacity_; }

    // True if the next poll would call a handler for what has completed. About a nanosecond, no system call; without
    // a trusted ring as basic_context::has_completions.
    bool has_completions() const noexcept { return undelivered() != 0 || context_.has_completions(); }

    // False: events are taken by io_getevents, by choice or because the ring can't be trusted.
    bool uses_ring() const noexcept { return context_.uses_ring(); }

    Observer& observer() noexcept { return observer_; }

private:
    static constexpr bool observed = !std::is_same_v<Observer, no_observer>;
    static constexpr unsigned patience =
        8; // tries for a request that is refused for lack of room with nothing in flight
    static constexpr const char* unusable =
        "kaio: loop: the kernel gave an error for the whole context; EINVAL means that the loop was moved from, or "
        "that "
        "it belongs to the process that forked this one: make a new loop in the child";

    basic_loop(basic_context<Kernel> made, timeout poll_limit) noexcept
        : context_(std::move(made)), capacity_(context_.capacity()), budget_(poll_limit) {}

    bool reserve() noexcept {
        auto storage = aligned_buffer::try_make(capacity_ * (sizeof(io_event) + sizeof(iocb*)), alignof(io_event));
        if (!storage || !slab_.grow(std::size_t{capacity_} + 1)) return false;
        storage_ = std::move(*storage);
        events_ = reinterpret_cast<io_event*>(storage_.data());
        batch_ = batch_end_ = reinterpret_cast<iocb**>(events_ + capacity_);
        batch_limit_ = batch_ + capacity_;
        next_event_ = end_event_ = events_;
        return true;
    }

    template <class Handler> bool accept(const request& what, Handler&& handler) {
        static_assert(completion_handler<Handler>, "kaio: a handler must be callable with a kaio::io_result");
        if constexpr (completion_handler<Handler>) {
            operation* const op = slab_.full() ? nullptr : slab_.take(std::forward<Handler>(handler));
            if (!op) [[unlikely]]
                return false;
            enqueue(*op, what.block());
        }
        return true;
    }
    int refusal() const noexcept { return capacity_ == 0 ? EINVAL : ENOMEM; }
    [[noreturn, gnu::cold, gnu::noinline]] void throw_refusal() const {
        detail::throw_error(refusal(),
                            "kaio: loop.submit: no memory for one more operation, or the loop was moved from");
    }

    bool idle() const noexcept { return room() == capacity_ && waiting_count_ == 0 && undelivered() == 0; }

    std::size_t undelivered() const noexcept {
        return failed_count_ + static_cast<std::size_t>(end_event_ - next_event_);
    }

    void enqueue(operation& op, const iocb& what) noexcept {
        op.fill(what);
        if constexpr (observed) observer_.on_submit();
        if (batch_end_ != batch_limit_) [[likely]] {
            to_batch(op);
        } else {
            waiting_.push(op);
            ++waiting_count_;
            ++attention_;
        }
    }

    // REQUIRES: batch_end_ != batch_limit_
    void to_batch(operation& op) noexcept {
        if (poll_list::is_poll(op)) poll_in_batch_ = true;
        *batch_end_++ = &op.block_;
    }

    unsigned batched() const noexcept { return static_cast<unsigned>(batch_end_ - batch_); }
    unsigned room() const noexcept { return static_cast<unsigned>(batch_limit_ - batch_end_); }

    // The room of a request that has ended goes to the one that has waited longest.
    void release_room() noexcept {
        ++batch_limit_;
        if (waiting_count_ != 0) {
            --waiting_count_;
            --attention_;
            to_batch(waiting_.pop());
        }
    }

    // Offers the batch to the kernel until it is taken, or the kernel is full. REQUIRES: there is a batch
    unsigned submit_batch() noexcept {
        [[maybe_unused]] std::int64_t started = 0;
        [[maybe_unused]] unsigned before = 0;
        if constexpr (observed) {
            before = context_.completions();
            started = context_.get_kernel().now();
        }
        unsigned accepted = batched();
        submission const answer = context_.submit({batch_, accepted});
        kernel_full_ = false;
        if (answer && !poll_in_batch_) [[likely]] {
            batch_limit_ -= batch_end_ - batch_;
            batch_end_ = batch_;
        } else {
            accepted = sort_out(answer);
        }
        if constexpr (observed) {
            std::int64_t const ended = context_.get_kernel().now();
            observer_.on_batch(accepted, context_.completions() - before, ended - started);
        }
        return accepted;
    }

    // After the first answer to a batch: links its polls, ends each request that was refused, and submits those behind
    // it again. Returns how many were accepted in all.
    [[gnu::noinline]] unsigned sort_out(submission answer) noexcept {
        unsigned const count = batched(), room_left = room();
        unsigned done = 0, accepted = 0, refused = 0;
        for (;;) {
            link_polls({batch_ + done, answer.accepted()});
            done += answer.accepted();
            accepted += answer.accepted();
            if (answer.accepted() != 0) refusals_ = 0;
            if (answer) break;
            // EAGAIN means no room, and that something must complete first. With nothing in flight it means that the
            // kernel has no memory: then it is the request's result in the end, so that the loop gets on.
            if (answer.ring_full() && (context_.in_flight() != 0 || ++refusals_ < patience)) {
                kernel_full_ = true;
                break;
            }
            refusals_ = 0;
            fail(of(batch_[done]), answer.error_number());
            ++done;
            ++refused;
            if (done == count) break;
            answer = context_.submit({batch_ + done, count - done});
        }
        if (done == count)
            poll_in_batch_ = false;
        else
            __builtin_memmove(batch_, batch_ + done, (count - done) * sizeof(iocb*));
        batch_end_ = batch_ + (count - done);
        batch_limit_ = batch_end_ + room_left;
        for (; refused != 0; --refused) release_room();
        return accepted;
    }

    void link_polls(std::span<iocb* const> accepted) noexcept {
        for (iocb* const block : accepted)
            if (operation& op = of(block); poll_list::is_poll(op)) {
                polls_.link(op);
                ++attention_;
            }
    }

    static operation& of(const iocb* block) noexcept {
        return *reinterpret_cast<operation*>(static_cast<std::uintptr_t>(block->aio_data));
    }
    static operation& of(const io_event& event) noexcept {
        return *reinterpret_cast<operation*>(static_cast<std::uintptr_t>(event.data));
    }

    // Ends a request that the kernel does not have. Its handler hears of it at the next dispatch.
    void fail(operation& op, int error) noexcept {
        op.block_.aio_offset = -error;
        failed_.push(op);
        ++failed_count_;
    }

    void cancel_unsubmitted() noexcept {
        for (; batch_end_ != batch_; --batch_end_) fail(of(batch_end_[-1]), ECANCELED);
        for (; waiting_count_ != 0; --waiting_count_, --attention_) fail(waiting_.pop(), ECANCELED);
    }

    // Takes events out of the kernel, unless some are still to be dispatched.
    void gather() noexcept {
        if (next_event_ == end_event_) gathered(context_.reap({events_, capacity_}));
    }

    void gathered(unsigned count) noexcept {
        next_event_ = events_;
        end_event_ = events_ + count;
        if (count == 0) return;
        kernel_full_ = false;
        if (attention_ == 0) [[likely]]
            batch_limit_ += count;
        else
            for (io_event* event = events_; event != end_event_; ++event) {
                if (operation& op = of(*event); poll_list::is_poll(op)) {
                    polls_.unlink(op);
                    --attention_;
                }
                release_room();
            }
    }

    // Calls handlers of what has ended. Every step is finished before the handler runs, so that it may do anything.
    std::size_t dispatch() {
        std::size_t count = 0;
        for (; failed_count_ != 0; ++count) dispatch_failed();
        for (; next_event_ != end_event_; ++count) dispatch_event();
        return count;
    }
    std::size_t dispatch_one() {
        if (failed_count_ != 0)
            dispatch_failed();
        else if (next_event_ != end_event_)
            dispatch_event();
        else
            return 0;
        return 1;
    }
    void dispatch_failed() {
        operation& op = failed_.pop();
        --failed_count_;
        complete(op, op.block_.aio_offset);
    }
    void dispatch_event() {
        io_event const& event = *next_event_++;
        complete(of(event), event.res);
    }

    void complete(operation& op, std::int64_t res) {
        if constexpr (observed) observer_.on_complete();
        op.complete_(op, slab_, io_result(res));
    }

    // Until `one` handler was called, or the deadline (in the kernel's time) has passed, or nothing is left.
    result<std::size_t> drive(bool one, std::int64_t deadline) {
        std::size_t count = 0;
        for (;;) {
            if (!context_.usable()) return result<std::size_t>::failure(EINVAL);
            flush();
            // Without the ring, asking is a system call: the wait below asks and sleeps in one.
            if (context_.uses_ring() || deadline != timeout::unlimited) gather();
            if (std::size_t const called = one ? dispatch_one() : dispatch()) {
                count += called;
                if (one || (deadline != timeout::unlimited && context_.get_kernel().now() >= deadline)) break;
                continue;
            }
            if (idle()) break;
            if (deadline != timeout::unlimited && context_.get_kernel().now() >= deadline) break;
            if (int const error = wait(deadline)) return result<std::size_t>::failure(error);
        }
        return count;
    }

    // Waits for an event, first by looking at the ring, then asleep. Returns an errno, or 0.
    int wait(std::int64_t deadline) noexcept {
        if (context_.in_flight() == 0) return 0; // the kernel refused all there is: the next flush says more
        Kernel& kernel = context_.get_kernel();
        std::int64_t const started = kernel.now();
        budget_.waiting(started, context_.reaped());
        if (context_.uses_ring() && budget_.ns() != 0) {
            std::int64_t const end = budget_.ns() < deadline - started ? started + budget_.ns() : deadline;
            do {
                for (int i = 0; i < 16; ++i) {
                    if (context_.has_completions()) return 0;
                    kernel.relax();
                }
            } while ((budget_.is_unlimited() && deadline == timeout::unlimited) || kernel.now() < end);
        }
        std::int64_t const now = kernel.now();
        if (now >= deadline) return 0;
        if constexpr (observed) observer_.on_wait();
        auto const got = context_.wait({events_, capacity_}, 1,
                                       deadline == timeout::unlimited ? timeout() : timeout::from_ns(deadline - now));
        if (!got) return got.error().value() == EINTR ? 0 : got.error().value();
        gathered(*got);
        budget_.slept(kernel.now() - started);
        return 0;
    }

    basic_context<Kernel> context_;
    operation_slab slab_;
    aligned_buffer storage_; // of the two arrays, capacity_ entries each
    io_event* events_ = nullptr;
    iocb** batch_ = nullptr;
    unsigned capacity_;
    iocb** batch_end_ = nullptr;     // batch_ up to here: submitted, with room, and not given to the kernel
    iocb** batch_limit_ = nullptr;   // batch_ may grow up to here: not at all while any is waiting
    io_event* next_event_ = nullptr; // events_ from here on are taken and not dispatched
    io_event* end_event_ = nullptr;  // events_ up to here
    unsigned refusals_ = 0;          // times in a row that the kernel had no room although nothing was in flight
    bool kernel_full_ = false;       // the last flush was cut short by EAGAIN, and nothing has completed since
    bool poll_in_batch_ = false;     // some request in batch_ may be a poll
    std::size_t attention_ = 0;      // waiting_count_ and the polls in flight: 0 on the fast path
    poll_list polls_;
    operation_list waiting_, failed_;
    std::size_t waiting_count_ = 0, failed_count_ = 0;
    poll_budget budget_;
    [[no_unique_address]] Observer observer_;
};

using loop = basic_loop<>;

} // namespace kaio
