// operation_core: an operation as the loop's machinery sees it. It has one form in each state, and all forms share the
// 64 bytes of an iocb.
//
//     state                              form     set by              `next` links it into
//     idle                               none     -                   the slab's free list, if it is the slab's
//     queued, not given to the kernel    request  basic_loop::submit  request_queue, unless it is in the batch
//     in flight                          request  the kernel          -, but see `habit`
//     in flight, a poll                  poll     poll_list           -
//     a timer that has not expired       timer    timer_queue         its siblings in the heap
//     completed, but not by the kernel   outcome  set_outcome         completions
//
//     byte       0         8              16       24       32          40          48         56
//     request    aio_data  key, rw_flags  opcode…  aio_buf  aio_nbytes  aio_offset  reserved2  flags, resfd
//     poll       process   =              =        next     previous    =           =          =
//     timer      process   order          opcode   child    back        deadline    =          =
//     outcome    process   =              =        =        =           =           result     =
//
// (Here pointers have 64 bits. `=`: the form leaves what the request has there.)
// aio_data holds the mark of the process that submitted, see sys/process.hpp, from submission to completion. The kernel
// reads it at submission, and kaio needs no answer from it, because an event names its iocb too. The kernel copies the
// iocb at submission. Afterwards it reads only aio_key and the address, to cancel a poll.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/sanitizers.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class operation_slab;
struct file_habit;
struct operation_core;

// Of a poll in flight: its neighbours in the poll_list.
struct poll_links {
    std::uint64_t request[3];
    operation_core* next;
    operation_core* previous;
};

// Of a timer: a node of the timer_queue's heap.
struct timer_node {
    std::uint64_t process;
    std::uint64_t order;   // of submission: the smaller came first
    std::int64_t deadline; // in the kernel's time, in ns
    operation_core* child; // the first of those below it
    operation_core* back;  // the previous sibling; the first sibling has its parent here
    char gap[3 * sizeof(std::uint64_t) - 2 * sizeof(void*)];
    std::int64_t in_queue; // 1 while it is in the timer_queue; of no other form, since the kernel wants 0 there
};

// Of an operation that has completed without the kernel. It leaves the request whole: fully() may go on with it.
struct operation_outcome {
    std::uint64_t request[6];
    std::int64_t result; // 0 or a negative errno
};

struct operation_core {
    // Called once for each submission, inside the loop's poll or run, when the loop has no further use for the
    // operation: it may be submitted again or destroyed there. The slab is the loop's.
    using completion = void (*)(operation_core& self, operation_slab& slab, io_result result);

    // Which of these it is, the table above says. GCC and Clang let a union's member be read after another was written.
    union form {
        iocb request;
        poll_links poll;
        timer_node timer;
        operation_outcome outcome;
    };

    form as{};
    completion complete = nullptr;
    // A union, so that -Weffc++ doesn't ask for a value that would be overwritten.
    union {
        operation_core* next; // in the list that the table above names
        file_habit* habit;    // in flight in a loop with helpers: see habits.hpp; null if nothing is to be learned
    };
    [[no_unique_address]] sanitizers::call_stack submitter{};

    operation_core() noexcept = default;
    explicit operation_core(completion function) noexcept : complete(function) {}
    operation_core(const operation_core&) = delete;
    operation_core& operator=(const operation_core&) = delete;

    // The iocb is the first thing in its operation.
    static operation_core& of(iocb* request) noexcept { return *reinterpret_cast<operation_core*>(request); }
    static operation_core& of(const io_event& event) noexcept { return of(event.request()); }

    // True from submission until the completion says otherwise.
    bool busy() const noexcept { return as.request.aio_data != 0; }
    void set_busy(const unsigned* process) noexcept { as.request.aio_data = reinterpret_cast<std::uintptr_t>(process); }
    void set_idle() noexcept { as.request.aio_data = 0; }
    const unsigned* process() const noexcept { return pointer_in<const unsigned>(as.request.aio_data); }

    // Becomes a request: all of the iocb but aio_data, aio_key, which the kernel writes, and what always stays 0.
    void set_request(const iocb& request) noexcept {
        as.request.aio_rw_flags = request.aio_rw_flags;
        as.request.aio_lio_opcode = request.aio_lio_opcode;
        as.request.aio_reqprio = request.aio_reqprio;
        as.request.aio_fildes = request.aio_fildes;
        as.request.aio_buf = request.aio_buf;
        as.request.aio_nbytes = request.aio_nbytes;
        as.request.aio_offset = request.aio_offset;
        as.request.aio_flags = request.aio_flags;
        as.request.aio_resfd = request.aio_resfd;
        submitter.remember();
    }
    // Names the buffer of a request that owns it, where it lies now.
    template <class Buffer> void set_buffer(Buffer& buffer) noexcept {
        as.request.aio_buf = reinterpret_cast<std::uintptr_t>(std::data(buffer));
    }
    void check_buffers() const noexcept { sanitizers::check_buffers(as.request, submitter); }
    bool is_poll() const noexcept { return as.request.aio_lio_opcode == static_cast<std::uint16_t>(opcode::poll); }

    // Has completed, without the kernel. take_outcome makes the kernel's reserved field 0 again.
    void set_outcome(int result) noexcept { as.outcome.result = result; }
    std::int64_t take_outcome() noexcept { return std::exchange(as.outcome.result, 0); }

    // With a helper: a word between it and the loop's thread. It lies where the loop's thread does not look meanwhile,
    // and where the kernel writes 0.
    void set_helper_word(int value) noexcept { as.request.aio_key = static_cast<std::uint32_t>(value); }
    int helper_word() const noexcept { return static_cast<int>(as.request.aio_key); }
};

static_assert(std::is_standard_layout_v<operation_core>, "an iocb's address is its operation's");
static_assert(sizeof(operation_core::form) == sizeof(iocb));
static_assert(offsetof(timer_node, process) == offsetof(iocb, aio_data));
static_assert(offsetof(timer_node, in_queue) == offsetof(iocb, aio_reserved2), "a request does not use it");
static_assert(offsetof(poll_links, next) == offsetof(iocb, aio_buf), "what is before stays");
static_assert(sizeof(poll_links) <= offsetof(iocb, aio_offset));
static_assert(offsetof(operation_outcome, result) == offsetof(iocb, aio_reserved2), "a request does not use it");

} // namespace kaio::detail
