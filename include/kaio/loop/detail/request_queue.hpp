// request_queue: the requests of a loop that the kernel has not been given. Those that have room stand in the batch,
// which one io_submit hands over. Those beyond the capacity wait behind it, first in, first out. What io_submit refuses
// completes with its error. It belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <kaio/io/context.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/detail/completions.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/operation_list.hpp>
#include <kaio/loop/detail/poll_list.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <kernel Kernel> class request_queue {
public:
    request_queue() noexcept = default;
    request_queue(request_queue&&) noexcept = default; // REQUIRES: nothing is in it

    // Makes room for `capacity` requests. To be called once, before anything else. Returns false if there is no memory.
    bool reserve(unsigned capacity) noexcept {
        batch_.reset(static_cast<iocb**>(::operator new(capacity * sizeof(iocb*), std::nothrow)));
        batch_end_ = batch_.get();
        set_room(batch_ ? capacity : 0);
        return static_cast<bool>(batch_);
    }

    // REQUIRES: it has the form of a request
    void push(operation_core& operation) noexcept {
        if (batch_end_ != batch_limit_) [[likely]]
            add_to_batch(operation);
        else
            waiting_.push(operation);
    }

    // True if there is something to hand over. If the kernel was full, something must have completed since.
    bool ready(const basic_context<Kernel>& context) const noexcept {
        return batch_end_ != batch_.get() && !(kernel_full_ && context.in_flight() != 0);
    }

    // Adds the notification to each request of the batch. To be called before submit, if there is an eventfd.
    void notify() noexcept {
        for (iocb* const request : batch()) add_notification(*request);
    }

    // Offers the batch to the kernel until all is accepted or the kernel has no room (EAGAIN). Calls
    // answers.refused(operation, errno) for each request that is refused: true means that it keeps its room. Calls
    // answers.kept(operation) for each that stays in the batch. Returns the number accepted. System calls: one
    // io_submit, and one more for each request that is refused and each time that the kernel takes only a part.
    // REQUIRES: ready()
    template <class Answers> unsigned submit(basic_context<Kernel>& context, Answers answers) noexcept {
        for (iocb* const request : batch()) operation_core::of(request).check_buffers();
        unsigned const count = batched();
        submission const answer = context.submit_prefix({batch_.get(), count});
        kernel_full_ = false;
        if (answer.accepted() != count || poll_in_batch_) [[unlikely]]
            return sort_out(answer, context, answers);
        batch_end_ = batch_.get();
        set_room(room_ - count);
        return count;
    }

    // Requests in the batch.
    unsigned batched() const noexcept { return static_cast<unsigned>(batch_end_ - batch_.get()); }

    // True if the last submit was cut short by EAGAIN, and nothing has completed since.
    bool kernel_full() const noexcept { return kernel_full_; }

    // Lets the next submit ask the kernel again, although nothing has completed.
    void retry() noexcept { kernel_full_ = false; }

    // Requests have completed. Their room goes to those that wait.
    void completed(view<io_event> events) noexcept {
        kernel_full_ = false;
        refusals_ = 0;
        set_room(room_ + narrow<unsigned>(events.size()));
        if (!polls_.empty()) [[unlikely]]
            unlink_polls(events);
        if (!waiting_.empty()) [[unlikely]]
            fill_batch();
    }

    // Takes out of the batch each request for which leaves(operation) is true. Those keep their room, and others come
    // after them. It asks once for each.
    template <class Leaves> void divert(Leaves leaves) noexcept {
        for (iocb** next = batch_.get(); next != batch_end_;) {
            iocb** kept = next;
            for (; next != batch_end_; ++next)
                if (!leaves(operation_core::of(*next)))
                    *kept++ = *next;
                else if (eventfd_ >= 0)
                    add_notification(**next);
            auto const left = static_cast<unsigned>(next - kept);
            batch_end_ = kept;
            set_room(room_ - left);
            next = kept;
            fill_batch();
        }
    }

    // Requests that have left by `divert` give back their room, and are done with.
    void give_back_room(unsigned count = 1) noexcept {
        set_room(room_ + count);
        fill_batch();
    }
    // Or such a request is to be given to the kernel after all: it is the next for which there is room.
    void put_back(operation_core& operation) noexcept {
        waiting_.push_front(operation);
        give_back_room();
    }
    // Or the kernel had no room for it (EAGAIN): it waits until something has completed. Returns false if nothing is in
    // flight, and it was so too often. Then it is not put back.
    bool put_back_without_room(operation_core& operation, bool others_in_flight) noexcept {
        if (!may_retry(others_in_flight)) return false;
        kernel_full_ = true;
        put_back(operation);
        return true;
    }

    // Removes a request that the kernel has not been given. Returns false if it is none. It looks at each in turn.
    bool remove(operation_core& operation) noexcept {
        if (waiting_.remove(operation)) return true;
        for (iocb** place = batch_.get(); place != batch_end_; ++place)
            if (*place == &operation.as.request) {
                auto const behind = static_cast<std::size_t>(batch_end_ - place - 1);
                __builtin_memmove(place, place + 1, behind * sizeof(iocb*));
                --batch_end_.get();
                fill_batch();
                return true;
            }
        return false;
    }

    // Completes all that the kernel has not been given with ECANCELED.
    void cancel_all(completions& completions) noexcept {
        for (iocb* const request : batch()) completions.add_outcome(operation_core::of(request), -ECANCELED);
        batch_end_ = batch_.get();
        while (!waiting_.empty()) completions.add_outcome(waiting_.pop(), -ECANCELED);
    }

    // Asks the kernel to end the polls that are in flight. True: their events will come.
    bool cancel_polls(basic_context<Kernel>& context) noexcept {
        bool all = true;
        polls_.for_each([&](iocb& request) { all = context.cancel(request) && all; });
        return all;
    }

    // Each request that is submitted from now on adds 1 to this eventfd when it completes. -1: none does.
    void set_eventfd(int eventfd) noexcept { eventfd_ = eventfd; }
    int eventfd() const noexcept { return eventfd_; }

    // Requests that the kernel has not been given.
    std::size_t size() const noexcept { return batched() + waiting_.size(); }

    // The same without the polls, which wait for something that may never come.
    std::size_t size_without_polls() const noexcept {
        std::size_t count = 0;
        for (iocb* const request : batch()) count += !operation_core::of(request).is_poll();
        waiting_.for_each([&](const operation_core& each) { count += !each.is_poll(); });
        return count;
    }

    // Requests that the kernel has room for, those in the batch included: the capacity less what is in flight.
    unsigned room() const noexcept { return room_; }

private:
    static constexpr unsigned most_refusals = 8; // of a request that has no room although nothing is in flight

    struct deleter {
        void operator()(iocb** batch) const noexcept { ::operator delete(batch); }
    };

    view<iocb* const> batch() const noexcept { return {batch_.get(), batched()}; }

    void set_room(unsigned room) noexcept {
        room_ = room;
        batch_limit_ = batch_.get() + room;
    }

    void add_to_batch(operation_core& operation) noexcept {
        assert(batch_end_ < batch_limit_ && "kaio: more requests than the kernel has room for");
        if (operation.is_poll()) poll_in_batch_ = true;
        *batch_end_.get()++ = &operation.as.request;
    }

    // Lets those that have waited longest into the batch.
    void fill_batch() noexcept {
        while (batch_end_ != batch_limit_ && !waiting_.empty()) add_to_batch(waiting_.pop());
    }

    // After the first answer to a batch: links its polls, completes each request that was refused, and submits those
    // behind it again. Returns the number accepted in all.
    template <class Answers>
    [[gnu::__noinline__]] unsigned sort_out(submission answer, basic_context<Kernel>& context,
                                            Answers answers) noexcept {
        view<iocb* const> rest = batch();
        unsigned accepted = 0, diverted = 0;
        for (;;) {
            link_polls(rest.first(answer.accepted()));
            rest = rest.subspan(answer.accepted());
            accepted += answer.accepted();
            if (answer.accepted() != 0) refusals_ = 0;
            if (!answer) {
                if (answer.ring_full() && may_retry(context.in_flight() != 0)) {
                    kernel_full_ = true;
                    break;
                }
                refusals_ = 0;
                if (answers.refused(operation_core::of(rest[0]), answer.error_number())) ++diverted;
                rest = rest.subspan(1);
            }
            if (rest.empty()) {
                poll_in_batch_ = false;
                break;
            }
            answer = context.submit_prefix(rest);
        }
        for (iocb* const request : rest) answers.kept(operation_core::of(request));
        __builtin_memmove(batch_.get(), rest.data(), rest.size() * sizeof(iocb*));
        batch_end_ = batch_.get() + rest.size();
        set_room(room_ - accepted - diverted);
        fill_batch();
        return accepted;
    }

    // EAGAIN means no room, and that something must complete first. With nothing in flight it means that the kernel has
    // no memory. Then it becomes the request's result at last, so that the loop goes on.
    bool may_retry(bool others_in_flight) noexcept { return others_in_flight || ++refusals_ < most_refusals; }

    void link_polls(view<iocb* const> accepted) noexcept {
        for (iocb* const request : accepted)
            if (operation_core& operation = operation_core::of(request); operation.is_poll()) polls_.link(operation);
    }

    // A poll completes without events only because it was cancelled.
    [[gnu::__noinline__]] void unlink_polls(view<io_event> events) noexcept {
        for (io_event& event : events)
            if (operation_core& operation = operation_core::of(event); operation.is_poll()) {
                polls_.unlink(operation);
                if (event.res == 0) event.res = -ECANCELED;
            }
    }

    void add_notification(iocb& request) const noexcept {
        request.aio_flags |= iocb_flag_resfd;
        request.aio_resfd = static_cast<std::uint32_t>(eventfd_);
    }

    owned<iocb**, nullptr, deleter> batch_{}; // as many places as the capacity
    reset_on_move<iocb**> batch_end_{};       // where the next request goes
    reset_on_move<iocb**> batch_limit_{};     // batch_ + room_: where the next request must wait
    reset_on_move<unsigned> room_{};          // see room()
    int eventfd_ = -1;                        // of the notifier
    bool poll_in_batch_ = false;              // some request in the batch may be a poll
    bool kernel_full_ = false;                // see kernel_full()
    unsigned char refusals_ = 0; // times that it had no room with nothing in flight, since something completed
    operation_list waiting_{};   // empty unless the batch is full
    poll_list polls_{};          // in flight
};

} // namespace kaio::detail
