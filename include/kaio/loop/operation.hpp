// operation: a request in flight, which is its iocb and how it completes. It lives in a loop's slab, in a coroutine
// frame, or where the caller keeps it (owned_operation). It must stay at its address from submission to completion.
#pragma once

#include <cassert>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>

namespace kaio {

class operation_slab;

// What a handler must be.
template <class Handler>
concept completion_handler = std::is_invocable_v<std::decay_t<Handler>&, io_result>;

// The base of everything that can be in flight in a loop: derive from it to say what completion does. No virtual
// functions: a pointer to a function that knows the derived type.
class operation {
public:
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;

protected:
    // Called once for each submission, inside the loop's poll or run, when the loop has no further use for the
    // operation: it may be submitted again or destroyed there. The slab is the loop's.
    using completion = void (*)(operation& self, operation_slab& slab, io_result result);

    explicit operation(completion complete) noexcept : complete_(complete) {}
    ~operation() = default;

    // True from submission until the completion says otherwise; asserted where an operation would be used twice.
    bool busy() const noexcept { return block_.aio_data != 0; }
    void set_busy() noexcept { block_.aio_data = reinterpret_cast<std::uintptr_t>(this); }
    void set_idle() noexcept { block_.aio_data = 0; }

private:
    template <kernel, class> friend class basic_loop;
    friend class operation_slab;
    friend class operation_list;
    friend class poll_list;

    // All of the iocb but aio_data and what stays 0 for ever.
    void fill(const iocb& from) noexcept {
        block_.aio_rw_flags = from.aio_rw_flags;
        block_.aio_key = 0;
        block_.aio_lio_opcode = from.aio_lio_opcode;
        block_.aio_reqprio = from.aio_reqprio;
        block_.aio_fildes = from.aio_fildes;
        block_.aio_buf = from.aio_buf;
        block_.aio_nbytes = from.aio_nbytes;
        block_.aio_offset = from.aio_offset;
        block_.aio_flags = from.aio_flags;
        block_.aio_resfd = from.aio_resfd;
    }

    iocb block_{};
    completion complete_;
    operation* next_ = nullptr; // in whatever list it stands: free, waiting, failed
};

// First in, first out, through operation::next_.
class operation_list {
public:
    bool empty() const noexcept { return head_ == nullptr; }
    void push(operation& op) noexcept {
        op.next_ = nullptr;
        *(head_ ? &tail_->next_ : &head_) = &op;
        tail_ = &op;
    }
    operation& pop() noexcept {
        operation& op = *head_;
        head_ = op.next_;
        return op;
    }

private:
    operation* head_ = nullptr;
    operation* tail_ = nullptr; // valid unless empty
};

// An operation that the caller owns, with a handler of any size: submitting it allocates nothing, ever. It may be
// submitted again as soon as it has completed, from its own handler too, and destroyed there. Neither copied nor moved.
// REQUIRES: it is not destroyed, and not submitted again, while it is in flight or waiting.
template <class Handler> class owned_operation final : public operation {
    static_assert(completion_handler<Handler>, "kaio: a handler must be callable with a kaio::io_result");

public:
    // `handler(io_result)` is called on completion, inside the loop's poll or run.
    explicit owned_operation(Handler handler) : operation(&complete), handler_(std::move(handler)) {}

    ~owned_operation() {
        assert(!busy() && "kaio: an operation was destroyed while it was in flight or waiting in a loop");
    }

    Handler& handler() noexcept { return handler_; }

private:
    static void complete(operation& self, operation_slab&, io_result result) {
        auto& op = static_cast<owned_operation&>(self);
        op.set_idle();
        op.handler_(result);
    }

    Handler handler_;
};

} // namespace kaio
