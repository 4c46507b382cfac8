// operation: a place for a request in flight and for what is to happen when it completes. A loop has its own for
// handlers, and a co_await has one in the coroutine's frame. Callers keep one where nothing may be allocated, or where
// the request is to be cancelled:
//     kaio::owned_operation operation([](kaio::io_result result) { use(result); });
//     loop.submit(kaio::poll(socket, POLLIN), operation);
//     loop.cancel(operation);
// It stays at its address from submission to completion. It belongs to its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/handler_check.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/transfer_progress.hpp>
#include <kaio/loop/transfer.hpp>
#include <kaio/sys/process.hpp>

namespace kaio::inline KAIO_BUILD {

// What a handler must be: callable with an io_result.
template <class Handler>
concept completion_handler = std::is_invocable_v<std::decay_t<Handler>&, io_result>;

// And one that is callable with a transfer_result only: an operation with it is for fully().
template <class Handler>
concept transfer_handler = !completion_handler<Handler> && std::is_invocable_v<std::decay_t<Handler>&, transfer_result>;

// What basic_loop::submit and cancel take. Callers have an owned_operation or an awaitable.
class operation : private detail::operation_core {
public:
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;

    // For kaio's own headers: an operation as the loop's machinery sees it.
    friend detail::operation_core& core_of(operation& operation) noexcept { return operation; }

protected:
    // `function` is called on completion.
    explicit operation(completion function) noexcept : operation_core(function) {}
    ~operation() = default;

    // The operation whose machinery this is.
    static operation& of(operation_core& core) noexcept { return static_cast<operation&>(core); }
    using operation_core::busy, operation_core::set_idle;

    // For destructors.
    void expect_idle() const noexcept {
        if (busy()) [[unlikely]]
            destroyed_while_busy();
    }

    // Ends the program in every build: going on would let the kernel and the loop write to memory that is gone. But not
    // in a forked child: there the request is the parent's, and so is that memory. REQUIRES: busy()
    [[gnu::__cold__, gnu::__noinline__]] void destroyed_while_busy() const noexcept {
        if (*process() == mark_of_child) return;
        std::fputs(
            "kaio: an operation was destroyed while it was in flight or waiting in a loop; run the loop until it "
            "has completed, or let the loop be destroyed first\n",
            stderr);
        std::abort();
    }
};

// An operation that the caller keeps, with a handler of any size. Submitting it allocates nothing. It may be submitted
// again as soon as it has completed, from its own handler too, and destroyed there. It is neither copied nor moved.
// REQUIRES: it is not destroyed, and not submitted again, from its submission to its completion.
template <class Handler> class owned_operation final : public operation {
    static_assert(detail::a_handler_takes<io_result>::but_this_is<Handler>::value,
                  "kaio: a handler must be callable with a kaio::io_result");

public:
    // `handler(io_result)` is called on completion, inside the loop's poll or run.
    explicit owned_operation(Handler handler) : operation(&complete), handler_(std::move(handler)) {}

    // Ends the program with a message if the operation has been submitted and has not completed.
    ~owned_operation() { expect_idle(); }

    // The handler, which stays here.
    Handler& handler() noexcept { return handler_; }

private:
    static void complete(detail::operation_core& core, detail::operation_slab&, io_result result) {
        auto& self = static_cast<owned_operation&>(of(core));
        self.set_idle();
        self.handler_(result);
    }

    Handler handler_;
};
template <class Handler> owned_operation(Handler) -> owned_operation<Handler>;

// The same for whole transfers, with a handler that is called with a transfer_result.
//     kaio::owned_operation operation([](kaio::transfer_result result) { use(result); });
//     loop.submit(kaio::fully(kaio::read(file, buffer, 0)), operation);
// A request that is not fully() may be submitted too: then the result is that of one transfer.
template <transfer_handler Handler> class owned_operation<Handler> final : public operation {
public:
    // `handler(transfer_result)` is called on completion, inside the loop's poll or run.
    explicit owned_operation(Handler handler) : operation(&complete_part), handler_(std::move(handler)) {}
    owned_operation(const owned_operation&) = delete; // -Weffc++ does not see that the base says so
    owned_operation& operator=(const owned_operation&) = delete;

    // Ends the program with a message if the operation has been submitted and has not completed.
    ~owned_operation() { expect_idle(); }

    // The handler, which stays here.
    Handler& handler() noexcept { return handler_; }

    // For kaio's own headers: it begins a whole transfer, of which `loop` (the loop's core) starts the parts.
    template <class Core> void begin(const detail::transfer_progress& progress, Core& loop) noexcept {
        progress_ = progress;
        loop_ = &loop;
        core_of(*this).complete = &complete<Core>;
    }

private:
    // A part of a whole transfer has completed.
    template <class Core> static void complete(detail::operation_core& core, detail::operation_slab&, io_result part) {
        auto& self = static_cast<owned_operation&>(of(core));
        if (self.progress_.continues(core.as.request, part.res())) return static_cast<Core*>(self.loop_)->start(core);
        core.complete = &complete_part;
        self.finish(transfer_result(self.progress_.bytes(), self.progress_.error()));
    }

    // A request that is not fully(), or a timer.
    static void complete_part(detail::operation_core& core, detail::operation_slab&, io_result result) {
        static_cast<owned_operation&>(of(core)).finish(transfer_result(result.bytes(), result.error().value()));
    }

    void finish(transfer_result result) {
        set_idle();
        handler_(result);
    }

    Handler handler_;
    void* loop_ = nullptr; // the core of the loop that it was submitted to
    // A union, so that no progress is needed before there is some.
    union {
        detail::transfer_progress progress_;
    };
};

} // namespace kaio
