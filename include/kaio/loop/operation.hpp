// operation: a request in flight, which is its iocb and how it completes. It lives in a loop's slab, in a coroutine
// frame, or where the caller keeps it (owned_operation). It must stay at its address from submission to completion.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>

namespace kaio::inline KAIO_BUILD {

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

    explicit operation(completion complete = nullptr) noexcept : complete_(complete) {}
    operation(completion complete, const iocb& what) noexcept : complete_(complete) { fill(what); }
    ~operation() = default;

    // True from submission until the completion says otherwise. `process` is the mark of the process that submits; see
    // sys/process.hpp. It travels in aio_data, which is of no other use: an event names the iocb too.
    bool busy() const noexcept { return block_.aio_data != 0; }
    void set_busy(const unsigned* process) noexcept { block_.aio_data = reinterpret_cast<std::uintptr_t>(process); }
    void set_idle() noexcept { block_.aio_data = 0; }

    // Ends the program in every build: going on would let the kernel and the loop write to memory that is gone. But not
    // in a forked child: there the request is the parent's, and so is that memory. REQUIRES: busy()
    [[gnu::__cold__, gnu::__noinline__]] void destroyed_while_busy() const noexcept {
        auto const* const process = reinterpret_cast<const unsigned*>(static_cast<std::uintptr_t>(block_.aio_data));
        if (*process == mark_of_child) return;
        std::fputs(
            "kaio: an operation was destroyed while it was in flight or waiting in a loop; run the loop until it "
            "has completed, or let the loop be destroyed first\n",
            stderr);
        std::abort();
    }

private:
    template <kernel, class> friend class basic_loop;
    template <kernel> friend class request_queue;
    template <class, class> friend class awaitable;
    friend class operation_slab;
    friend class operation_list;
    friend class poll_list;
    friend class timer_queue;
    friend class transfer_progress;

    // All of the iocb but aio_data, what stays 0 for ever, and aio_key, which the kernel writes at submission.
    void fill(const iocb& from) noexcept {
        block_.aio_rw_flags = from.aio_rw_flags;
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
    completion complete_ = nullptr;
    operation* next_ = nullptr; // in whatever list it stands: free, waiting, ended
};

// First in, first out, through operation::next_.
class operation_list {
public:
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    void push(operation& op) noexcept {
        op.next_ = nullptr;
        *(size_++ != 0 ? &tail_->next_ : &head_) = &op;
        tail_ = &op;
    }

    // REQUIRES: !empty()
    operation& pop() noexcept {
        operation& op = *head_;
        head_ = op.next_;
        --size_;
        return op;
    }

    // Takes it out, wherever it stands, and says whether it was there. Looks at each in turn until it is found: those
    // that are taken out in the order in which they came cost no search.
    bool remove(operation& op) noexcept {
        operation *before = nullptr, *each = head_;
        for (std::size_t left = size_; left != 0; --left) {
            if (each == &op) {
                (before ? before->next_ : head_) = op.next_;
                if (tail_ == &op) tail_ = before;
                --size_;
                return true;
            }
            before = each;
            each = each->next_;
        }
        return false;
    }

private:
    operation* head_ = nullptr; // valid unless empty, as is tail_
    operation* tail_ = nullptr;
    std::size_t size_ = 0;
};

// An operation that the caller owns, with a handler of any size: submitting it allocates nothing, ever. It may be
// submitted again as soon as it has completed, from its own handler too, and destroyed there. Neither copied nor moved.
// REQUIRES: it is not destroyed, and not submitted again, while it is in flight or waiting.
template <class Handler> class owned_operation final : public operation {
    static_assert(completion_handler<Handler>, "kaio: a handler must be callable with a kaio::io_result");

public:
    // `handler(io_result)` is called on completion, inside the loop's poll or run.
    explicit owned_operation(Handler handler) : operation(&complete), handler_(std::move(handler)) {}

    // Ends the program with a message if the operation is still in flight or waiting.
    ~owned_operation() {
        if (busy()) [[unlikely]]
            destroyed_while_busy();
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
template <class Handler> owned_operation(Handler) -> owned_operation<Handler>;

} // namespace kaio
