// later_exceptions: what handlers throw where nothing may be thrown, because a destructor runs the loop. The loop's
// next calls of poll or run throw it, one at a time and in this order. It belongs to its loop's thread.
//     {
//         detail::later_exceptions later(core);
//         while (waiting()) later.guard([&] { run_a_handler(); });
//     } // from here on they can leave poll and run
// Without exceptions a guard is a call.
#pragma once

#include <kaio/sys/cpp20.hpp>

#if defined(__cpp_exceptions)
#include <exception>
#endif
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/operation_list.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <class Core> class later_exceptions {
public:
    explicit later_exceptions(Core& core) noexcept : core_(core) {}
    later_exceptions(const later_exceptions&) = delete;
    later_exceptions& operator=(const later_exceptions&) = delete;
    ~later_exceptions() {
        while (!kept_.empty()) core_.start_timer(kept_.pop(), 0);
    }

    // Calls `function()`. Without memory to keep what it throws, the program ends by std::terminate.
    template <class Function> void guard(Function&& function) noexcept {
#if defined(__cpp_exceptions)
        try {
            function();
        } catch (...) {
            keep(std::current_exception());
        }
#else
        function();
#endif
    }

private:
#if defined(__cpp_exceptions)
    void keep(std::exception_ptr thrown) noexcept {
        core_.slab.grow_if_exhausted();
        auto throw_again = [again = std::move(thrown)](io_result timer) {
            if (timer) std::rethrow_exception(again); // not in the loop's destructor, which cancels the timer
        };
        auto const kept = core_.slab.template acquire<decltype(throw_again)>(std::move(throw_again));
        if (!kept.operation) std::terminate();
        kept_.push(*kept.operation);
        core_.slab.grow_if_exhausted();
    }
#endif

    Core& core_;
    operation_list kept_{}; // timers that are not started yet
};

} // namespace kaio::detail
