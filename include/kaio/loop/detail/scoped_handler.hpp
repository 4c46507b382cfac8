// The handlers of what was submitted through a request_scope, as a loop keeps them: the caller's, and beside it the
// scope, which is told before the caller's handler is called. That may destroy the scope. They belong to their loop's
// thread.
#pragma once

#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/scope_list.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// Of what the scope only counts. Its arguments are the result, and whatever else the loop hands to such a handler.
template <class Scope, class Handler> struct counted_handler {
    Scope* scope;
    Handler handler;

    template <class... Results>
        requires(std::is_invocable_v<Handler&, Results...>)
    void operator()(Results... results) {
        scope->completed();
        handler(std::forward<Results>(results)...);
    }
};

// Of a poll or a timer. It is moved twice: from submit to where it stays until the operation has completed, and from
// there to where it is called. It is in the scope's list between the two: what was moved from leaves the list when it
// is destroyed, before the call.
template <class Scope, class Handler> class listed_handler {
public:
    template <class H>
    listed_handler(Scope* scope, operation_core* operation, H&& handler)
        : scope_(scope), entry_(operation), handler_(std::forward<H>(handler)) {}
    listed_handler(listed_handler&& other) noexcept(std::is_nothrow_move_constructible_v<Handler>)
        : scope_(other.scope_), entry_(other.entry_.operation), handler_(std::move(other.handler_)) {
        if (!other.entry_.linked()) scope_->list(entry_);
    }
    listed_handler(const listed_handler&) = delete;
    listed_handler& operator=(const listed_handler&) = delete;

    template <class Result>
        requires(std::is_invocable_v<Handler&, Result>)
    void operator()(Result result) {
        entry_.unlink(); // a handler that is too large for the slab is called where it lies
        scope_->completed();
        handler_(result);
    }

private:
    Scope* scope_;
    scope_entry entry_;
    Handler handler_;
};

// Of request_scope::on_closed.
template <class Scope, class Handler> struct closed_handler {
    Scope* scope;
    Handler handler;

    void operator()(io_result) {
        scope->completed();
        handler();
    }
};

} // namespace kaio::detail
