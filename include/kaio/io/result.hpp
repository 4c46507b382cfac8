// io_result: how one request ended, in the kernel's own encoding. result<T>: how a call of kaio ended, a T or an error.
// Plain values: no allocation, no system call, any thread. Builds without exceptions use them for everything; where
// a throwing function has no other way out there, it prints its text and aborts.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstdint>
#include <cstdlib> // std::size_t: <cstddef> has std::byte too, and costs more to compile
#include <new>
#include <string>
#include <system_error> // std::move too: <utility> is a hundredth of what io/context.hpp costs to compile
#include <type_traits>

#if !defined(__cpp_exceptions)
#include <cstdio>
#endif

namespace kaio {

// The number of bytes that were transferred, a poll mask, or a negative errno. Reading or writing fewer bytes than
// were asked for is a success: bytes() says how many.
class io_result {
public:
    // `res` as in io_event::res: not negative, or a negative errno.
    constexpr explicit io_result(std::int64_t res) noexcept : res_(res) {}

    // True if the request succeeded.
    constexpr explicit operator bool() const noexcept { return res_ >= 0; }

    // Bytes transferred; 0 for a request that failed, and for fsync and fdatasync.
    constexpr std::size_t bytes() const noexcept { return res_ < 0 ? 0 : static_cast<std::size_t>(res_); }

    // For a poll request: the events that are ready (POLLIN, …).
    constexpr int poll_events() const noexcept { return res_ < 0 ? 0 : static_cast<int>(res_); }

    // Why it failed, in the system category; no error if it succeeded.
    std::error_code error() const noexcept {
        return res_ < 0 ? std::error_code(static_cast<int>(-res_), std::system_category()) : std::error_code();
    }

    // EAGAIN in a completed request: it would have blocked, and rw_flags::nowait forbade that. Submitted again with
    // the same flag it fails the same way; submit it without, or later.
    constexpr bool would_block() const noexcept { return res_ == -EAGAIN; }

    // The kernel's word.
    constexpr std::int64_t res() const noexcept { return res_; }

    friend constexpr bool operator==(io_result, io_result) noexcept = default;

private:
    std::int64_t res_;
};

namespace detail {
// Throws std::system_error with this errno and text; without exceptions, prints both and aborts.
[[noreturn, gnu::__cold__, gnu::__noinline__]] inline void throw_error(int error, const std::string& text) {
#if defined(__cpp_exceptions)
    throw std::system_error(error, std::system_category(), text);
#else
    std::fprintf(stderr, "%s: %s\n", text.c_str(), std::system_category().message(error).c_str());
    std::abort();
#endif
}
[[noreturn, gnu::__cold__, gnu::__noinline__]] inline void throw_error(int error, const char* text) {
    throw_error(error, std::string(text));
}
} // namespace detail

namespace detail {
// What may be an error, and must not be dropped unseen.
template <class T>
concept can_fail = requires(const T& outcome) { static_cast<std::error_code>(outcome.error()); };
} // namespace detail

// A T, or the errno of what kept it from being made. Move-only if T is.
template <class T> class [[nodiscard]] result {
public:
    result(T value) noexcept(noexcept(T(std::declval<T>()))) : error_(0) { ::new (&value_) T(std::move(value)); }

    // `error` is an errno, greater than 0.
    static result failure(int error) noexcept { return result(error, failed{}); }

    result(result&& other) noexcept(noexcept(T(std::declval<T>()))) : error_(other.error_) {
        if (error_ == 0) ::new (&value_) T(std::move(other.value_));
    }
    result& operator=(result&&) = delete;
    ~result() {
        if (error_ == 0) value_.~T();
    }

    explicit operator bool() const noexcept { return error_ == 0; }
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }

    // REQUIRES: it holds a value.
    T& operator*() & noexcept { return value_; }
    const T& operator*() const& noexcept { return value_; }
    T&& operator*() && noexcept { return std::move(value_); }
    T* operator->() noexcept { return &value_; }
    const T* operator->() const noexcept { return &value_; }

    // The value, or std::system_error with the error and this text before it.
    T value(const char* text = "kaio") && {
        if (error_ != 0) detail::throw_error(error_, text);
        return std::move(value_);
    }

private:
    struct failed {};
    result(int error, failed) noexcept : error_(error) {}

    union {
        T value_; // alive if error_ is 0
    };
    int error_; // 0 or an errno
};

// Nothing, or an error.
template <> class [[nodiscard]] result<void> {
public:
    result() noexcept = default;
    static result failure(int error) noexcept {
        result r;
        r.error_ = error;
        return r;
    }

    explicit operator bool() const noexcept { return error_ == 0; }
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }
    void value(const char* text = "kaio") const {
        if (error_ != 0) detail::throw_error(error_, text);
    }

private:
    int error_ = 0;
};

} // namespace kaio
