// A transfer with its handler, in memory of the handler's allocator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <kaio/asio/detail/file_request.hpp>
#include <kaio/asio/detail/library.hpp>
#include <kaio/asio/detail/plain_executor.hpp>
#include <kaio/asio/file_service.hpp>

namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {

// True for the executor of this io_context, and any_io_executors with it.
template <class Executor> bool is_executor_of(const net::execution_context&, const Executor&) noexcept { return false; }
inline bool is_executor_of(const net::execution_context& context,
                           const net::io_context::executor_type& executor) noexcept {
    return &context == &net::query(executor, net::execution::context);
}
inline bool is_executor_of(const net::execution_context& context, const net::any_io_executor& executor) noexcept {
    auto* const inner = target_of<net::io_context::executor_type>(executor);
    return inner && is_executor_of(context, *inner);
}

#if defined(KAIO_ASIO_HAS_SLOTS)
// What a cancellation slot calls. Its address is the key of the request, so it does no harm when that has ended.
struct cancel_by_key {
    file_service* service;

    void operator()(net::cancellation_type type) const {
        using kind = net::cancellation_type;
        if ((type & (kind::terminal | kind::partial | kind::total)) != kind::none) service->cancel(this);
    }
};
#endif

// For handlers without an allocator of their own.
#if defined(KAIO_ASIO_HAS_RECYCLING)
using operation_allocator = net::recycling_allocator<void>;
#else
using operation_allocator = std::allocator<void>;
#endif

template <class Handler, class Executor, class Buffers, class Position>
class file_operation final : public file_request {
public:
    // Reads or writes `fd`. Without bytes to transfer it succeeds at once, as in Asio's own files. Errors: throws what
    // the handler's allocator and its cancellation slot throw. Then nothing was started.
    static void start(file_service& service, int fd, bool reads, std::uint64_t offset, const Buffers& buffers,
                      const Position& position, Handler&& handler, const Executor& executor) {
        allocator memory(net::get_associated_allocator(handler, operation_allocator()));
        auto const free = [&memory](file_operation* room) { traits::deallocate(memory, room, 1); };
        std::unique_ptr<file_operation, decltype(free)> room(traits::allocate(memory, 1), free);
        auto* const made = ::new (static_cast<void*>(room.get())) file_operation(buffers, position, std::move(handler));
        (void)room.release();
        std::unique_ptr<file_operation, destroyer> operation(made);

        made->find_executor(service, executor);
        bool const some = buffers.bytes() != 0;
        made->buffers_.describe(made->block, reads && some); // a read of nothing is not at the end of the file
        made->block.aio_fildes = static_cast<std::uint32_t>(fd);
        made->block.aio_offset = static_cast<std::int64_t>(offset);
#if defined(KAIO_ASIO_HAS_SLOTS)
        auto slot = net::get_associated_cancellation_slot(made->handler_);
        if (slot.is_connected()) made->key = &slot.template emplace<cancel_by_key>(cancel_by_key{&service});
#endif
        if (some)
            service.start(*made);
        else
            service.complete(*made);
        (void)operation.release();
    }

private:
    using own_executor = net::associated_executor_t<Handler, Executor>;
    using traits = typename std::allocator_traits<
        net::associated_allocator_t<Handler, operation_allocator>>::template rebind_traits<file_operation>;
    using allocator = typename traits::allocator_type;
    struct destroyer {
        void operator()(file_operation* operation) const noexcept { end_it(*operation, ending::destroy); }
    };

    file_operation(const Buffers& buffers, const Position& position, Handler&& handler)
        : buffers_(buffers), position_(position), handler_(std::move(handler)) {
        end = &end_it;
    }

    // Handlers that belong on another executor keep that one's context at work. The service does so for the io_context.
    void find_executor(file_service& service, const Executor& of_file) {
        own_executor const own = net::get_associated_executor(handler_, of_file);
        if (is_executor_of(service.context(), own)) return;
        elsewhere_.emplace(own);
        post = [](file_request& request) {
            auto& self = static_cast<file_operation&>(request);
            auto const executor = self.elsewhere_->get_executor();
            net::defer(executor, request_posted_elsewhere(request, net::get_associated_allocator(self.handler_)));
        };
    }

    static void end_it(file_request& request, ending how) {
        auto& self = static_cast<file_operation&>(request);
        auto const elsewhere = std::move(self.elsewhere_);
        error_code const error = self.error();
        std::size_t const bytes = self.bytes();
        if (how == ending::call) self.position_.passed(self.reads(), self.block.aio_offset, bytes);
        Handler handler = std::move(self.handler_);
        // Asio promises that a handler is called when the memory of its operation is free again.
        allocator memory(net::get_associated_allocator(handler, operation_allocator()));
        traits::destroy(memory, &self);
        traits::deallocate(memory, &self, 1);
        if (how == ending::call) std::move(handler)(error, bytes);
    }

    Buffers buffers_;
    [[no_unique_address]] Position position_;
    std::optional<net::executor_work_guard<own_executor>> elsewhere_{}; // if post is set
    Handler handler_;
};

} // namespace kaio::detail::inline KAIO_ASIO
