// suspended: who goes on when a wait is over. It is a coroutine, or something that has the members of a coroutine's
// handle which are used here and in loop/awaitable.hpp: address(), from_address() and resume(). One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <type_traits>

namespace kaio::inline KAIO_BUILD::detail {

class suspended {
public:
    suspended() noexcept = default;
    template <class Coroutine>
    explicit suspended(Coroutine coroutine) noexcept
        : frame_(coroutine.address()), coroutine_of_(&coroutine_of<Coroutine>) {}

    // Returns the coroutine that is to be resumed. What is no coroutine is resumed here, and then this is one that does
    // nothing. REQUIRES: somebody is suspended
    std::coroutine_handle<> coroutine() const { return coroutine_of_(frame_); }

private:
    template <class Coroutine> static std::coroutine_handle<> coroutine_of(void* frame) {
        if constexpr (std::is_convertible_v<Coroutine, std::coroutine_handle<>>)
            return std::coroutine_handle<>::from_address(frame);
        else
            return Coroutine::from_address(frame).resume(), std::noop_coroutine();
    }

    void* frame_ = nullptr;
    std::coroutine_handle<> (*coroutine_of_)(void* frame) = nullptr; // null: nobody
};

} // namespace kaio::detail
