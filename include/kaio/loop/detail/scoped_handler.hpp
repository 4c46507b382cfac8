// The handlers of what was submitted through a request_scope, as a loop keeps them: the caller's, and beside it the
// scope, which is told before the caller's handler is called. That may destroy the scope. They belong to their loop's
// thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/handler_check.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/scope_list.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// What a Stored is made of when the loop has memory for it. Until then the caller's handler is untouched.
template <class Stored, class Scope, class Handler> struct scoped_parts {
    Scope* scope;
    operation_core* operation; // that will hold it, if the scope lists it
    Handler&& handler;
};
template <class Stored, class Scope, class Handler> struct stored_handler_of<scoped_parts<Stored, Scope, Handler>> {
    using type = Stored;
};

// Of what the scope only counts. Its arguments are the result, and whatever else the loop hands to such a handler.
template <class Scope, class Handler> struct counted_handler {
    Scope* scope;
    Handler handler;

    template <class H>
    counted_handler(scoped_parts<counted_handler, Scope, H>&& parts) noexcept(
        std::is_nothrow_constructible_v<Handler, H>)
        : scope(parts.scope), handler(std::forward<H>(parts.handler)) {}

    template <class... Results>
        requires(std::is_invocable_v<Handler&, Results...>)
    void operator()(Results... results) {
        scope->completed();
        handler(std::forward<Results>(results)...);
    }
};

// Of a poll or a timer. It is in the scope's list where it is made. From there it is moved to where it is called: what
// was moved from leaves the list when it is destroyed, before the call.
template <class Scope, class Handler> class listed_handler {
public:
    template <class H>
    listed_handler(scoped_parts<listed_handler, Scope, H>&& parts)
        : scope_(parts.scope), entry_(parts.operation), handler_(std::forward<H>(parts.handler)) {
        scope_->list(entry_);
    }
    listed_handler(listed_handler&& other) noexcept(std::is_nothrow_move_constructible_v<Handler>)
        : scope_(other.scope_), entry_(), handler_(std::move(other.handler_)) {}
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

    template <class H> closed_handler(Scope* closing, H&& told) : scope(closing), handler(std::forward<H>(told)) {}

    void operator()(io_result) {
        scope->completed();
        handler();
    }
};

} // namespace kaio::detail
