// completion<T>: a callback completes it, and a coroutine awaits it. It makes an interface with callbacks one for
// coroutines.
//     kaio::completion<int> answer;
//     resolver.start(name, [&](int address) { answer.complete(address); });
//     int const address = co_await answer;
// It may be completed before or after it is awaited. One thread: a callback in another posts to the loop, and completes
// it there.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <new>
#include <type_traits>
#include <utility>

#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD {

// It is completed once and stays where it is. One coroutine awaits it. If that is destroyed while it waits, or its wait
// is given up (with_timeout), another may. Destroying it while a coroutine waits for it ends the program with a
// message, and so does completing or awaiting it twice. REQUIRES: the callback is not called after it was destroyed.
// Allocates: nothing. System calls: none.
template <class T = void> class completion {
    static_assert(std::is_void_v<T> || std::is_object_v<T>, "kaio: a completion is of an object or of void");
    struct no_value {};
    using stored = std::conditional_t<std::is_void_v<T>, no_value, T>;

public:
    completion() noexcept {}
    completion(const completion&) = delete;
    completion& operator=(const completion&) = delete;
    ~completion() {
        if (!waiter_.empty()) [[unlikely]]
            detail::end_program("kaio: a completion was destroyed while a coroutine waits for it\n");
        if (completed_) value_.~stored();
    }

    // Makes the value of the arguments. If a coroutine waits, it is resumed here, on the caller's stack. It may destroy
    // the completion, so this is the last thing to be done with it. Errors: throws what T's constructor throws, and
    // then it is not completed; and what the resumption of the coroutine throws (of a task: nothing).
    template <class... Arguments>
        requires std::is_constructible_v<stored, Arguments...>
    void complete(Arguments&&... arguments) {
        if (completed_) [[unlikely]]
            detail::end_program("kaio: a completion was completed twice\n");
        ::new (static_cast<void*>(&value_)) stored(std::forward<Arguments>(arguments)...);
        completed_ = true;
        if (detail::wait_node* const node = waiter_.pop()) node->coroutine().resume();
    }

    // True from complete on.
    bool completed() const noexcept { return completed_; }

    // Returns the T, moved out.
    [[nodiscard]] auto operator co_await() noexcept { return awaiter(*this); }

private:
    class awaiter final : public detail::wait_node {
    public:
        explicit awaiter(completion& of) noexcept : completion_(of) {}
        bool await_ready() const noexcept {
            if (completion_.taken_ || !completion_.waiter_.empty()) [[unlikely]]
                detail::end_program("kaio: a completion was awaited twice\n");
            return completion_.completed_;
        }
        template <class Coroutine> void await_suspend(Coroutine coroutine) noexcept {
            completion_.waiter_.push(*this, coroutine);
        }
        T await_resume() noexcept(std::is_void_v<T> || std::is_nothrow_move_constructible_v<stored>) {
            completion_.taken_ = true;
            if constexpr (!std::is_void_v<T>) return std::move(completion_.value_);
        }

    private:
        completion& completion_;
    };

    detail::wait_queue waiter_{}; // one at most
    union {
        stored value_; // alive if completed_
    };
    bool completed_ = false;
    bool taken_ = false; // by a coroutine that awaited it
};

} // namespace kaio
