// request_queue: the requests of a loop that the kernel has not been given. Those with room stand in a batch, which one
// io_submit hands over; those beyond the capacity wait behind it, first in, first out. It also knows what io_submit
// refused and which polls are in flight. It belongs to its loop's thread.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/io/context.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/poll_list.hpp>

namespace kaio::inline KAIO_BUILD {

template <kernel Kernel> class request_queue {
public:
    request_queue() noexcept = default;
    request_queue(const request_queue&) = delete;
    request_queue& operator=(const request_queue&) = delete;
    request_queue(request_queue&& other) noexcept // REQUIRES: nothing is in it
        : batch_(std::exchange(other.batch_, nullptr)), batch_end_(std::exchange(other.batch_end_, nullptr)),
          batch_limit_(std::exchange(other.batch_limit_, nullptr)) {}
    ~request_queue() { ::operator delete(batch_); }

    // Once, before anything else. False: no memory.
    bool reserve(unsigned capacity) noexcept {
        batch_ = static_cast<iocb**>(::operator new(capacity * sizeof(iocb*), std::nothrow));
        batch_end_ = batch_;
        batch_limit_ = batch_ + (batch_ ? capacity : 0);
        return batch_ != nullptr;
    }

    // REQUIRES: op's iocb is filled in
    void push(operation& op) noexcept {
        if (batch_end_ != batch_limit_) [[likely]]
            to_batch(op);
        else
            wait(op);
    }

    // True if there is something to hand over, and if the kernel was full, something has completed since.
    bool ready(const basic_context<Kernel>& to) const noexcept {
        return batch_end_ != batch_ && !(kernel_full_ && to.in_flight() != 0);
    }

    // Offers the batch to the kernel until it is taken or the kernel has no room (EAGAIN): one io_submit, and one more
    // for each request that is refused and each time that the kernel takes only a part. Those that are refused end with
    // their errors, in `ended`. Returns how many were taken.
    // REQUIRES: ready()
    unsigned submit(basic_context<Kernel>& to, operation_list& ended) noexcept {
        unsigned const count = batched();
        if (notify_fd_ >= 0) set_notification();
        submission const answer = to.submit_prefix({batch_, count});
        kernel_full_ = false;
        if (answer.accepted() != count || poll_in_batch_) [[unlikely]]
            return sort_out(answer, to, ended);
        batch_limit_ -= count;
        batch_end_ = batch_;
        return count;
    }

    // True if the last submit was cut short by EAGAIN, and nothing has completed since.
    bool kernel_full() const noexcept { return kernel_full_; }

    // These have completed: their room goes to those that wait.
    void completed(view<io_event> events) noexcept {
        kernel_full_ = false;
        refusals_ = 0;
        if (attention_ == 0) [[likely]]
            batch_limit_ += events.size();
        else
            for (io_event& event : events) completed_one(event);
    }

    // Takes a request out that the kernel has not been given, if it is one. Looks at each in turn.
    bool remove(operation& op) noexcept {
        if (waiting_.remove(op)) {
            --attention_;
            return true;
        }
        for (iocb** place = batch_; place != batch_end_; ++place)
            if (&of(*place) == &op) {
                __builtin_memmove(place, place + 1, static_cast<std::size_t>(batch_end_ - place - 1) * sizeof(iocb*));
                --batch_end_;
                --batch_limit_;
                release_room();
                return true;
            }
        return false;
    }

    // Ends all that the kernel has not been given.
    void cancel_all(operation_list& ended) noexcept {
        while (batch_end_ != batch_) end(of(*--batch_end_), -ECANCELED, ended);
        for (; !waiting_.empty(); --attention_) end(waiting_.pop(), -ECANCELED, ended);
    }

    // Asks the kernel to end the polls that are in flight. True: their events will come.
    bool cancel_polls(basic_context<Kernel>& to) noexcept {
        bool all = true;
        polls_.for_each([&](iocb& block) { all = to.cancel(block) && all; });
        return all;
    }

    // Each request that is submitted from now on adds 1 to this eventfd when it completes; -1: none does.
    void notify(int eventfd) noexcept { notify_fd_ = eventfd; }
    int notified() const noexcept { return notify_fd_; }

    std::size_t waiting() const noexcept { return batched() + waiting_.size(); }
    unsigned batched() const noexcept { return static_cast<unsigned>(batch_end_ - batch_); }

    // Requests that may still be pushed before any has to wait.
    unsigned room() const noexcept { return static_cast<unsigned>(batch_limit_ - batch_end_); }

    // Ends an operation that the kernel does not have: it completes with `res` at the loop's next dispatch.
    // The result lies where the kernel, had it accepted the request, would have written its key.
    static void end(operation& op, int res, operation_list& ended) noexcept {
        op.block_.aio_key = static_cast<std::uint32_t>(res);
        ended.push(op);
    }
    static int result_of(const operation& ended) noexcept { return static_cast<int>(ended.block_.aio_key); }

    // The iocb is the first thing in an operation.
    static operation& of(iocb* block) noexcept {
        static_assert(std::is_standard_layout_v<operation>);
        return *reinterpret_cast<operation*>(block);
    }
    static operation& of(const io_event& event) noexcept {
        return of(reinterpret_cast<iocb*>(static_cast<std::uintptr_t>(event.obj)));
    }

private:
    static constexpr unsigned patience = 8; // tries of a request that has no room although nothing is in flight

    // REQUIRES: batch_end_ != batch_limit_
    void to_batch(operation& op) noexcept {
        if (poll_list::is_poll(op)) poll_in_batch_ = true;
        *batch_end_++ = &op.block_;
    }

    void wait(operation& op) noexcept {
        waiting_.push(op);
        ++attention_;
    }

    // The room of a request that has ended goes to the one that has waited longest.
    void release_room() noexcept {
        ++batch_limit_;
        if (!waiting_.empty()) {
            --attention_;
            to_batch(waiting_.pop());
        }
    }

    // A poll ends without events only because it was cancelled.
    void completed_one(io_event& event) noexcept {
        if (operation& op = of(event); poll_list::is_poll(op)) {
            polls_.unlink(op);
            --attention_;
            if (event.res == 0) event.res = -ECANCELED;
        }
        release_room();
    }

    // After the first answer to a batch: links its polls, ends each request that was refused, and submits those behind
    // it again. Returns how many were accepted in all.
    [[gnu::__noinline__]] unsigned sort_out(submission answer, basic_context<Kernel>& to,
                                            operation_list& ended) noexcept {
        unsigned const count = batched(), room_left = room();
        unsigned done = 0, accepted = 0, refused = 0;
        for (;;) {
            link_polls({batch_ + done, answer.accepted()});
            done += answer.accepted();
            accepted += answer.accepted();
            if (answer.accepted() != 0) refusals_ = 0;
            if (!answer) {
                // EAGAIN means no room, and that something must complete first. With nothing in flight it means that the
                // kernel has no memory: then it is the request's result in the end, so that the loop goes on.
                if (answer.ring_full() && (to.in_flight() != 0 || ++refusals_ < patience)) {
                    kernel_full_ = true;
                    break;
                }
                refusals_ = 0;
                end(of(batch_[done]), -answer.error_number(), ended);
                ++done;
                ++refused;
            }
            if (done == count) break;
            answer = to.submit_prefix({batch_ + done, count - done});
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

    void link_polls(view<iocb* const> accepted) noexcept {
        for (iocb* const block : accepted)
            if (operation& op = of(block); poll_list::is_poll(op)) {
                polls_.link(op);
                ++attention_;
            }
    }

    [[gnu::__cold__, gnu::__noinline__]] void set_notification() noexcept {
        for (iocb* const block : view<iocb* const>(batch_, batched())) {
            block->aio_flags |= iocb_flag_resfd;
            block->aio_resfd = static_cast<std::uint32_t>(notify_fd_);
        }
    }

    iocb** batch_ = nullptr;
    iocb** batch_end_ = nullptr;   // batch_ up to here: has room, and was not given to the kernel
    iocb** batch_limit_ = nullptr; // batch_ may grow up to here: not at all while any is waiting
    std::size_t attention_ = 0;    // those that wait and the polls in flight: 0 on the fast path
    unsigned refusals_ = 0;        // times that it had no room with nothing in flight, since something completed
    int notify_fd_ = -1;
    bool kernel_full_ = false;
    bool poll_in_batch_ = false; // some request in batch_ may be a poll
    operation_list waiting_{};
    poll_list polls_{};
};

} // namespace kaio
