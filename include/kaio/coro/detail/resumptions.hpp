// resumptions: how an object resumes the coroutines that wait for it: one after the other, from one loop, on the stack
// of the call that lets the first of them go on. While that loop runs, other calls only leave it more to do. So the
// stack stays flat however many there are, and a coroutine may do anything when it is resumed: wait again, resume
// others, or destroy the object. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <kaio/coro/detail/first_exception.hpp>
#include <kaio/coro/detail/wait_queue.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class resumptions {
public:
    resumptions() noexcept = default;
    resumptions(const resumptions&) = delete;
    resumptions& operator=(const resumptions&) = delete;
    ~resumptions() {
        if (!running_) return;
        running_->object = nullptr;
        running_->ready.append(ready_);
    }

    // Those that are resumed whatever becomes of the object.
    wait_queue& ready() noexcept { return ready_; }

    // Resumes those that are ready, and then what `next()` returns, a wait_node that is in no queue, until that is
    // null. Nothing is held back for a coroutine that is not resumed yet: next() hands it what it waits for. The object
    // may be gone when this returns. What a coroutine's resumption throws is thrown when the others have been resumed.
    template <class Next> void run(Next next) {
        if (running_) return; // from there they are resumed
        frame here(*this);
        first_exception thrown;
        while (wait_node* const node = !here.object ? here.ready.pop() : ready_.empty() ? next() : ready_.pop())
            thrown.guard([node] { node->coroutine().resume(); });
        thrown.rethrow();
    }
    void run() {
        run([]() noexcept -> wait_node* { return nullptr; });
    }

private:
    // Of run. It outlives the object if it has to.
    struct frame {
        resumptions* object; // null: gone
        wait_queue ready{};  // the object's, then

        // Not inline, or GCC fears that the object keeps the address when the frame is gone (-Wdangling-pointer).
        [[gnu::__noinline__]] explicit frame(resumptions& of) noexcept : object(&of) { of.running_ = this; }
        frame(const frame&) = delete;
        frame& operator=(const frame&) = delete;
        ~frame() {
            if (object) object->running_ = nullptr;
        }
    };

    wait_queue ready_{};
    frame* running_ = nullptr; // of the call of run that is in progress
};

} // namespace kaio::detail
