// detour: a loop's other way to the kernel, over helpers, for requests that would block its thread. Here is what the
// loop asks of it; helper_detour.hpp has it. It belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <kaio/io/view.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <class Core> class helper_detour; // defined by kaio/loop/helpers.hpp
struct offloaded;                          // defined by kaio/loop/detail/offload_lane.hpp

// `Core` is the loop's. It is named in each call, because it can be moved.
template <class Core> class detour {
public:
    detour() noexcept = default;
    detour(const detour&) = delete;
    detour& operator=(const detour&) = delete;
    virtual ~detour() = default;

    // Submits the queue's batch: what would block goes to helpers. Returns the number that the kernel has accepted.
    virtual unsigned submit(Core& core) noexcept = 0;

    // Returns the events that complete their requests. The others say that a request would have blocked: it goes to a
    // helper.
    virtual view<io_event> completed(Core& core, view<io_event> events) noexcept = 0;

    // A request that a helper submitted was refused. The error is its outcome.
    virtual void came_back(Core& core, operation_core& operation) noexcept = 0;

    // Takes out a request that neither the kernel nor a helper has. Returns false if it is none.
    virtual bool remove(Core& core, operation_core& operation) noexcept = 0;

    // Completes all of those with ECANCELED.
    virtual void cancel_all(Core& core) noexcept = 0;

    // Has a helper run the function, which then posts itself.
    virtual void offload(offloaded& function) noexcept = 0;

    // At the end: waits until no helper works for the loop.
    virtual void close() noexcept = 0;
};

} // namespace kaio::detail
