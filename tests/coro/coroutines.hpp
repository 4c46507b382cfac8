// Coroutines of other types than kaio's, for tests of what any coroutine may await.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <utility>

namespace test {

// Starts at once and frees itself at the end. It must not throw.
struct free_running {
    struct promise_type {
        free_running get_return_object() const noexcept { return {}; }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
    };
};

// Starts at once, and is destroyed with its owner wherever it is suspended. What it throws leaves the call that resumed
// it.
class owned_coroutine {
public:
    struct promise_type {
        owned_coroutine get_return_object() noexcept {
            return owned_coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        [[noreturn]] void unhandled_exception() const { throw; }
    };

    owned_coroutine() noexcept = default;
    owned_coroutine(owned_coroutine&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    owned_coroutine& operator=(owned_coroutine&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~owned_coroutine() { reset(); }

    bool finished() const { return handle_.done(); }
    void reset() {
        if (handle_) std::exchange(handle_, nullptr).destroy();
    }

private:
    explicit owned_coroutine(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

    std::coroutine_handle<promise_type> handle_ = nullptr;
};

} // namespace test
