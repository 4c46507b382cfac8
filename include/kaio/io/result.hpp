// How things ended, as plain values. io_result: one request. result<T>: one call of kaio, which returns a T or an
// error.
//     kaio::result<kaio::file> file = kaio::file::try_open("aio.txt", O_RDONLY);
//     if (!file) return file.error();
//     loop.submit(kaio::read(*file, buffer, 0), [](kaio::io_result r) { use(r.value("read aio.txt")); });
// Any thread. No system calls; only the texts of errors allocate. Builds without exceptions look at error(): where a
// member below throws, they print its text and abort.
#pragma once

#include <kaio/sys/language.hpp>

#include <cassert>
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

#include <kaio/sys/abi.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

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

// The kernel's word on one request: the number of bytes transferred, a poll mask, or a negative errno. A transfer of
// fewer bytes than were asked for is a success, and bytes() says how many; kaio::fully() transfers them all.
class io_result {
public:
    // `res` as in io_event::res.
    constexpr explicit io_result(std::int64_t res) noexcept : res_(res) {}

    // True if the request succeeded.
    constexpr explicit operator bool() const noexcept { return res_ >= 0; }

    // Bytes transferred: 0 for a request that failed, and for fsync and fdatasync.
    constexpr std::size_t bytes() const noexcept { return res_ < 0 ? 0 : static_cast<std::size_t>(res_); }

    // The same for a request that must have succeeded.
    // Errors: throws std::system_error with error(); `call` begins its text, so it names what was tried.
    std::size_t value(const char* call = "kaio: request") const {
        if (res_ < 0) detail::throw_error(static_cast<int>(-res_), call);
        return static_cast<std::size_t>(res_);
    }

    // For a poll request: the events that are ready (POLLIN, …).
    constexpr int poll_events() const noexcept { return res_ < 0 ? 0 : static_cast<int>(res_); }

    // Why it failed, in the system category; no error if it succeeded.
    std::error_code error() const noexcept {
        return res_ < 0 ? std::error_code(static_cast<int>(-res_), std::system_category()) : std::error_code();
    }

    // True for EAGAIN: the request would have blocked, and rw_flags::nowait forbade that. The same request with the
    // same flag is likely to fail again at once. Submit it without the flag, or later.
    constexpr bool would_block() const noexcept { return res_ == -EAGAIN; }

    // The kernel's word as it is.
    constexpr std::int64_t res() const noexcept { return res_; }

    // Equal if the kernel said the same.
    friend constexpr bool operator==(io_result a, io_result b) noexcept { return a.res_ == b.res_; }
    friend constexpr bool operator!=(io_result a, io_result b) noexcept { return !(a == b); }

private:
    std::int64_t res_;
};

inline io_result io_event::result() const noexcept { return io_result(res); }

// An error on its way into a result<T> of any T: `return kaio::failure(EINVAL);`
class [[nodiscard]] failure {
public:
    // An errno, greater than 0.
    constexpr explicit failure(int error) noexcept : error_(error) {
        assert(error > 0 && "kaio: a failure needs an errno, and an errno is greater than 0");
    }
    // The error of another result, which must have failed.
    explicit failure(std::error_code error) noexcept : failure(error.value()) {}

    // The errno.
    constexpr int error_number() const noexcept { return error_; }

private:
    int error_;
};

// A T, or the errno that says why there is none. It can be moved, assigned and copied as far as a T can.
template <class T> class [[nodiscard]] result {
    static constexpr bool nothrow_move = std::is_nothrow_move_constructible_v<T>;
    static constexpr bool copyable = std::is_copy_constructible_v<T>;
    static constexpr bool copy_assignable = copyable && std::is_copy_assignable_v<T>;

public:
    // A value.
    result(T value) noexcept(nothrow_move) : error_(0) { ::new (address()) T(std::move(value)); }

    // An error.
    result(failure why) noexcept : error_(why.error_number()) {}

    // Copied and assigned as its value is, as far as that can be. One that was moved from keeps a value that was moved
    // from.
    result(result&& other) noexcept(nothrow_move) : error_(other.error_) {
        if (error_ == 0) ::new (address()) T(std::move(other.value_));
    }
    result(const result& other) KAIO_REQUIRES(copyable) : error_(other.error_) {
        if (error_ == 0) ::new (address()) T(other.value_);
    }
    result& operator=(result&& other) noexcept(nothrow_move && std::is_nothrow_move_assignable_v<T>)
        KAIO_REQUIRES(std::is_move_assignable_v<T>) {
        if (error_ == 0 && other.error_ == 0)
            value_ = std::move(other.value_);
        else if (other.error_ == 0)
            become(std::move(other.value_));
        else
            set_error(other.error_);
        return *this;
    }
    result& operator=(const result& other) KAIO_REQUIRES(copy_assignable) {
        if (error_ == 0 && other.error_ == 0)
            value_ = other.value_;
        else if (other.error_ == 0)
            become(other.value_);
        else
            set_error(other.error_);
        return *this;
    }
    ~result() { destroy(); }

    // True if there is a T.
    bool has_value() const noexcept { return error_ == 0; }
    explicit operator bool() const noexcept { return error_ == 0; }

    // The errno, and none if there is a T. Contexts, loops, files and memory have categories of their own: there
    // message() says cause and remedy as they are when it is called, and may read /proc for that. All other errors are
    // in the system category. An error compares with std::errc either way.
    std::error_code error() const noexcept {
        return error_ == 0 ? std::error_code() : std::error_code(error_, category<T>(0));
    }

    // The errno as a number, and 0 if there is a T.
    int error_number() const noexcept { return error_; }

    // The T, which must be there.
    T& operator*() & noexcept { return checked(); }
    const T& operator*() const& noexcept { return checked(); }
    T&& operator*() && noexcept { return std::move(checked()); }
    T* operator->() noexcept { return &checked(); }
    const T* operator->() const noexcept { return &checked(); }

    // The T. Errors: throws std::system_error with error(); `call` begins its text, so it names what was tried.
    T& value(const char* call = "kaio") & {
        throw_unless_there(call);
        return value_;
    }
    const T& value(const char* call = "kaio") const& {
        throw_unless_there(call);
        return value_;
    }
    T value(const char* call = "kaio") && {
        throw_unless_there(call);
        return std::move(value_);
    }

private:
    template <class Value> static auto category(int) noexcept -> decltype(Value::error_category()) {
        return Value::error_category();
    }
    template <class> static const std::error_category& category(long) noexcept { return std::system_category(); }

    void* address() noexcept { return &value_; }

    T& checked() noexcept {
        assert(error_ == 0 && "kaio: a result was used that holds an error");
        return value_;
    }
    const T& checked() const noexcept {
        assert(error_ == 0 && "kaio: a result was used that holds an error");
        return value_;
    }
    void throw_unless_there(const char* call) const {
        if (error_ != 0) detail::throw_error(error(), std::string(call));
    }

    template <class Value> void become(Value&& value) {
        ::new (address()) T(std::forward<Value>(value));
        error_ = 0;
    }
    void set_error(int error) noexcept {
        destroy();
        error_ = error;
    }
    void destroy() noexcept {
        if (error_ == 0) value_.~T();
    }

    union {
        T value_; // alive if error_ is 0
    };
    int error_; // 0 or an errno
};

// Nothing, or an error.
template <> class [[nodiscard]] result<void> {
public:
    // Success.
    result() noexcept = default;

    // An error.
    result(failure why) noexcept : error_(why.error_number()) {}

    // True if there is no error.
    bool has_value() const noexcept { return error_ == 0; }
    explicit operator bool() const noexcept { return error_ == 0; }

    // The errno, in the system category; no error if all went well.
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }

    // The errno as a number, and 0 if all went well.
    int error_number() const noexcept { return error_; }

    // Errors: throws std::system_error with error(); `call` begins its text, so it names what was tried.
    void value(const char* call = "kaio") const {
        if (error_ != 0) detail::throw_error(error_, call);
    }

private:
    int error_ = 0;
};

} // namespace KAIO_BUILD
} // namespace kaio
