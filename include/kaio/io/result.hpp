// io_result: how one request ended, in the kernel's own encoding. result<T>: how a call of kaio ended, a T or an error.
// Plain values: no allocation, no system call, any thread. Builds without exceptions use them for everything; where
// a throwing function has no other way out there, it prints its text and aborts.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#if !defined(__cpp_exceptions)
#include <cstdio>
#include <cstdlib>
#endif

namespace kaio::inline KAIO_BUILD {

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
// Throws std::system_error with this error and text; without exceptions, prints both and aborts.
[[noreturn, gnu::__cold__, gnu::__noinline__]] inline void throw_error(std::error_code error, const std::string& text) {
#if defined(__cpp_exceptions)
    throw std::system_error(error, text);
#else
    std::fprintf(stderr, "%s: %s\n", text.c_str(), error.message().c_str());
    std::abort();
#endif
}
[[noreturn, gnu::__cold__, gnu::__noinline__]] inline void throw_error(int error, const std::string& text) {
    throw_error(std::error_code(error, std::system_category()), text);
}
[[noreturn, gnu::__cold__, gnu::__noinline__]] inline void throw_error(int error, const char* text) {
    throw_error(error, std::string(text));
}
} // namespace detail

namespace detail {
// What may be an error, and must not be dropped unseen.
template <class T>
concept can_fail = requires(const T& outcome) { static_cast<std::error_code>(outcome.error()); };

// An errno in other words: Words::text(errno). It compares with std::errc as it does in the system category.
template <class Words> class errno_category final : public std::error_category {
public:
    const char* name() const noexcept override { return Words::name; }
    std::string message(int error) const override { return Words::text(error); }
    std::error_condition default_error_condition(int error) const noexcept override {
        return std::system_category().default_error_condition(error);
    }
};

// It is never destroyed: errors may be put into words after main.
template <class Words> const std::error_category& words_of() noexcept {
    using category = errno_category<Words>;
    alignas(category) static unsigned char storage[sizeof(category)];
    static const category& one = *::new (storage) category;
    return one;
}
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

    // The errno, in the system category or, where T knows more about causes and remedies (contexts, loops, files and
    // memory), in one of T's own: its message() says them as they are at that moment, and may read /proc for that. It
    // compares with std::errc either way.
    std::error_code error() const noexcept {
        if constexpr (requires { T::error_category(); }) {
            if (error_ != 0) return std::error_code(error_, T::error_category());
        }
        return std::error_code(error_, std::system_category());
    }

    // REQUIRES: it holds a value.
    T& operator*() & noexcept { return value_; }
    const T& operator*() const& noexcept { return value_; }
    T&& operator*() && noexcept { return std::move(value_); }
    T* operator->() noexcept { return &value_; }
    const T* operator->() const noexcept { return &value_; }

    // The value, or std::system_error with the error and this text before it.
    T value(const char* text = "kaio") && {
        if (error_ != 0) detail::throw_error(error(), std::string(text));
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
