// offload: has a helper do what Linux has no asynchronous call for, and hands its result back to the loop.
//     int const fd = co_await loop.offload([&] { return ::openat(folder, name, O_RDONLY); });
//     loop.offload([=] { return ::fsync(fd); }, [](kaio::offload_result<int> r) { use(r.value()); });
// The function runs once, on a thread of the loop's helpers, whatever else the loop does. Its result, or what it throws,
// comes back inside the loop's poll or run. As many functions run at once as there are helpers, and begin in order. One
// that blocks keeps a helper from the requests that would block, so a program that offloads much wants more helpers.
// It can't be cancelled: run, and the loop's destructor, wait for it.
//
// In a loop without helpers, and where no helper can be had, the loop's thread runs the function at once, and is blocked
// by it. The result comes back in the same way. In a forked child no helper runs it, and it never comes back.
// docs/decisions/offloading.md says why it is so.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/sys/language.hpp>

#include <cassert>
#include <cerrno>
#if defined(__cpp_exceptions)
#include <exception>
#endif
#include <cstdio>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/mailbox.hpp>
#include <kaio/loop/detail/offload_lane.hpp>
#include <kaio/sys/process.hpp>

namespace kaio::inline KAIO_BUILD {

// What an offloaded function did: it returned a T (any type, a reference, nothing), or threw. It can be moved, not
// copied. Any thread.
template <class T> class [[nodiscard]] offload_result {
    struct no_value {};
    using stored = std::conditional_t<
        std::is_void_v<T>, no_value,
        std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, std::remove_cv_t<T>>>;

public:
    // No result yet, as after a function that threw.
    offload_result() noexcept {}
    offload_result(offload_result&& other) noexcept(std::is_nothrow_move_constructible_v<stored>)
        : returned_(other.returned_) {
        if (returned_) ::new (address()) stored(std::move(other.value_));
#if defined(__cpp_exceptions)
        thrown_ = std::move(other.thrown_);
#endif
    }
    offload_result& operator=(offload_result&&) = delete;
    offload_result(const offload_result&) = delete;
    offload_result& operator=(const offload_result&) = delete;
    ~offload_result() {
        if (returned_) value_.~stored();
    }

    // False if the function threw.
    explicit operator bool() const noexcept { return returned_; }

    // Returns what the function returned, moved out. Errors: throws what the function threw.
    T value() {
#if defined(__cpp_exceptions)
        if (thrown_) std::rethrow_exception(thrown_);
#endif
        assert(returned_ && "kaio: the result of an offloaded function was used before it had run");
        if constexpr (std::is_reference_v<T>)
            return static_cast<T>(*value_);
        else if constexpr (!std::is_void_v<T>)
            return std::move(value_);
    }

    // For kaio's own headers: calls the function. REQUIRES: it is new
    template <class Function> void keep(Function& function) noexcept {
#if defined(__cpp_exceptions)
        try {
            call(function);
        } catch (...) {
            thrown_ = std::current_exception();
        }
#else
        call(function);
#endif
    }

private:
    template <class Function> void call(Function& function) {
        if constexpr (std::is_void_v<T>) {
            function();
            ::new (address()) stored();
        } else if constexpr (std::is_reference_v<T>) {
            T&& returned = function();
            ::new (address()) stored(&returned);
        } else {
            ::new (address()) stored(function());
        }
        returned_ = true;
    }
    void* address() noexcept { return &value_; }

    union {
        stored value_; // alive if returned_
    };
    bool returned_ = false;
#if defined(__cpp_exceptions)
    std::exception_ptr thrown_{};
#endif
};

namespace detail {

// A function that is offloaded, and its result. `Core` is the loop's.
template <class Core, class Function> class offload_call : protected offloaded {
public:
    using value_type = std::invoke_result_t<Function&>;

protected:
    template <class F>
    offload_call(Core& loop, F&& function, void (*deliver)(posted&))
        : offloaded{{nullptr, deliver}, &run_and_post}, loop_(loop), function_(std::forward<F>(function)) {}
    ~offload_call() = default;

    void start() noexcept {
        loop_.assert_thread();
        if (!loop_.context.usable()) return; // a forked child
        ++loop_.offloads;
        if constexpr (requires { loop_.observer.on_offload(); }) loop_.observer.on_offload();
        if (loop_.detour) return loop_.detour.get()->offload(*this);
        (void)loop_.mailbox.open(loop_.context); // if it can't be woken, it looks by itself
        run_and_post(*this);
    }

    // To be called first when it comes back.
    void came_back() noexcept { --loop_.offloads; }

    Core& loop_;
    Function function_;
    offload_result<value_type> result_{};

private:
    static void run_and_post(offloaded& self) noexcept {
        auto& call = static_cast<offload_call&>(self);
        Core& loop = call.loop_;
        call.result_.keep(call.function_);
        loop.mailbox.post_kept(loop.context, call); // from here on the loop's thread may free it
    }
};

// With a handler. It lies on the heap.
template <class Core, class Function, class Handler> class handled_offload final : public offload_call<Core, Function> {
    using base = offload_call<Core, Function>;
    static_assert(std::is_invocable_v<Handler&, offload_result<typename base::value_type>>,
                  "kaio: the handler of an offloaded function must be callable with a kaio::offload_result of what the "
                  "function returns");

public:
    // Returns an errno, or 0.
    template <class F, class H> static int submit(Core& loop, F&& function, H&& handler) {
        if (!loop.context.usable()) return EINVAL;
        auto* const fresh =
            new (std::nothrow) handled_offload(loop, std::forward<F>(function), std::forward<H>(handler));
        if (!fresh) return ENOMEM;
        fresh->start();
        return 0;
    }

private:
    template <class F, class H>
    handled_offload(Core& loop, F&& function, H&& handler)
        : base(loop, std::forward<F>(function), &deliver), handler_(std::forward<H>(handler)) {}

    static void deliver(posted& self) {
        struct owner {
            handled_offload* it;
            ~owner() { delete it; }
        } const owned{static_cast<handled_offload*>(&self)};
        owned.it->came_back();
        owned.it->handler_(std::move(owned.it->result_));
    }

    Handler handler_;
};

} // namespace detail

// What `co_await loop.offload(function)` awaits, in a coroutine of any type. The function lies in the coroutine's frame.
// A lambda that has captured what it owns gets a name first, or g++ 12 destroys that twice (docs/compilers.md).
// REQUIRES: it is awaited once at most, and the loop was not moved from. Destroying it, with the frame it is in, while
// it is under way ends the program with a message: a helper would write into memory that is gone.
template <class Core, class Function>
class [[nodiscard("kaio: nothing is offloaded until it is awaited: co_await loop.offload(...)")]] //
offload_awaitable final : private detail::offload_call<Core, Function> {
    using base = detail::offload_call<Core, Function>;

public:
    // Made by basic_loop::offload.
    template <class F> offload_awaitable(Core& core, F&& function) : base(core, std::forward<F>(function), nullptr) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    offload_awaitable(offload_awaitable&& other) noexcept(std::is_nothrow_move_constructible_v<Function>)
        : base(other.loop_, std::move(other.function_), nullptr) {
        assert(!other.process_ && "kaio: an awaitable was moved after it had been awaited");
    }
    offload_awaitable(const offload_awaitable&) = delete;
    offload_awaitable& operator=(const offload_awaitable&) = delete;
    ~offload_awaitable() {
        if (process_ && *process_ != mark_of_child) [[unlikely]]
            destroyed_too_early();
    }

    // For `co_await`: the function starts when the coroutine has been suspended.
    static constexpr bool await_ready() noexcept { return false; }
    template <class Coroutine> void await_suspend(Coroutine frame) noexcept {
        this->call = &resume<Coroutine>;
        frame_ = frame.address();
        process_ = this->loop_.context.process_mark();
        this->start();
    }

    // Returns what the function returned, or throws what it threw.
    typename base::value_type await_resume() {
        process_ = nullptr;
        return this->result_.value();
    }

private:
    template <class Coroutine> static void resume(detail::posted& self) {
        auto& awaited = static_cast<offload_awaitable&>(self);
        awaited.came_back();
        Coroutine::from_address(awaited.frame_).resume();
    }
    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void destroyed_too_early() noexcept {
        std::fputs("kaio: a coroutine was destroyed while it waits for an offloaded function; run the loop until that "
                   "has come back, or let the loop be destroyed first\n",
                   stderr);
        std::abort();
    }

    void* frame_ = nullptr;             // of the coroutine that awaits it, once one does
    const unsigned* process_ = nullptr; // the mark of the process in which it is under way, while it is
};

} // namespace kaio
