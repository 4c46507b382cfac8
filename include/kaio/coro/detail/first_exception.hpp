// first_exception: keeps the first exception that leaves any of several calls, until all of them are made.
//     detail::first_exception first;
//     for (auto& handler : handlers) first.guard(handler);
//     first.rethrow(); // does nothing if none of them threw
// Without exceptions it is empty, and a guard is a call. Copies refer to one exception. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#if defined(__cpp_exceptions)
#include <cassert>
#include <exception>
#endif

namespace kaio::inline KAIO_BUILD::detail {

class first_exception {
public:
#if defined(__cpp_exceptions)
    // Calls `function()` and keeps what it throws.
    template <class Function> void guard(Function&& function) noexcept {
        try {
            function();
        } catch (...) {
            keep();
        }
    }

    // Keeps the exception that is being handled, unless there is one already. REQUIRES: the call is inside a catch.
    void keep() noexcept {
        if (!thrown_) thrown_ = std::current_exception();
        assert(thrown_ && "kaio: an exception was to be kept outside a catch");
    }

    // Throws the exception, if there is one. It is still kept afterwards.
    void rethrow() const {
        if (thrown_) std::rethrow_exception(thrown_);
    }

    // True if there is an exception.
    explicit operator bool() const noexcept { return thrown_ != nullptr; }

private:
    std::exception_ptr thrown_{};
#else
    template <class Function> void guard(Function&& function) { function(); }
    void keep() const noexcept {}
    void rethrow() const noexcept {}
    explicit operator bool() const noexcept { return false; }
#endif
};

} // namespace kaio::detail
