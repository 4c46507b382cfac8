// submit_and_wait: this batch, and wait for all of it.
//     kaio::iocb blocks[] = {kaio::read(file, first, 0), kaio::read(file, second, 4096)};
//     kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
//     kaio::io_event events[2];
//     kaio::submit_and_wait(context, batch, events).value("search"); // events[1].result() is blocks[1]'s
// docs/examples/search.cpp is a search in a vector index, which is a loop around that call.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <kaio/io/context.hpp>
#include <kaio/io/duration.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

namespace detail {

// Puts the event of batch[i] into events[i]. Each request's aio_key is its place in the batch.
inline void put_in_order(view<iocb* const> batch, view<io_event> events) noexcept {
    for (std::size_t i = 0; i != batch.size(); ++i)
        while (events[i].request() != batch[i]) {
            io_event& its_place = events[events[i].request()->aio_key];
            assert(its_place.obj != events[i].obj && "kaio: a request is in a batch twice");
            io_event const here = events[i];
            events[i] = its_place;
            its_place = here;
        }
}

} // namespace detail

// Submits the batch, waits until every request of it has completed, and puts the event of batch[i] into events[i]. A
// request that io_submit refuses has an event too, with the error, and those behind it are submitted all the same. A
// signal does not end the wait. When this returns, the kernel is done with all buffers, whatever happened.
//
// A batch that is larger than the context's capacity is submitted as there is room. A request for which there is no
// room although none is in flight has EAGAIN. The kernel's word aio_key of each iocb is overwritten. Requests that own
// their buffers (kaio/io/owning.hpp) stay where they are meanwhile. No other thread uses the context meanwhile.
// REQUIRES: an iocb is in the batch once
// Errors, with nothing submitted: EINVAL (fewer events than requests, or a context that is not usable, as in a forked
// child), EBUSY (other requests are in flight). Any other error is io_getevents's, as where a seccomp filter denies it:
// then what became of the requests is not known, and the context is destroyed, as nothing else ends them. It is as one
// that was moved from.
// Allocates: nothing. System calls: for a batch that fits, an io_submit, up to two more for each request that is
// refused, and an io_getevents if the ring does not have all events by then.
template <class Kernel>
result<void> submit_and_wait(basic_context<Kernel>& io_context, view<iocb* const> batch,
                             view<io_event> events) noexcept {
    if (!io_context.usable() || events.size() < batch.size()) return failure(EINVAL);
    if (io_context.in_flight() != 0) return failure(EBUSY);
    std::size_t handed_over = 0; // the first so many of the batch
    std::size_t ended = 0;       // the first so many of the events, in any order
    while (ended != batch.size()) {
        while (handed_over != batch.size() && io_context.in_flight() < io_context.capacity()) {
            std::size_t const left = batch.size() - handed_over, room = io_context.capacity() - io_context.in_flight();
            submission const answer = io_context.submit_prefix(batch.subspan(handed_over, left < room ? left : room));
            // The kernel has copied them, so their keys may change.
            for (std::size_t const end = handed_over + answer.accepted(); handed_over != end; ++handed_over)
                batch[handed_over]->aio_key = detail::narrow<std::uint32_t>(handed_over);
            if (answer) continue;
            if (answer.ring_full() && io_context.in_flight() != 0) break;
            iocb& refused = *batch[handed_over];
            refused.aio_key = detail::narrow<std::uint32_t>(handed_over++);
            events[ended++] = {refused.aio_data, reinterpret_cast<std::uintptr_t>(&refused), -answer.error_number(), 0};
        }
        // Linux 6.8 may sleep on although the last of several events has come, so such a sleep has an end.
        unsigned const least = handed_over == batch.size() ? io_context.in_flight() : 1;
        duration const limit = least > 1 ? duration::from_ns(1'000'000'000) : duration();
        result<unsigned> const taken = io_context.wait(events.subspan(ended), least, limit);
        if (taken) {
            ended += *taken;
        } else if (taken.error().value() != EINTR) {
            basic_context<Kernel> const destroyed(std::move(io_context));
            return failure(taken.error());
        }
    }
    detail::put_in_order(batch, events);
    return {};
}

} // namespace KAIO_BUILD
} // namespace kaio
