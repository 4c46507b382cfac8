// owned_post: a function that its caller keeps, to be posted to a loop again and again. Posting it allocates nothing.
//     kaio::owned_post arrived([&] { take(queue); });
//     loop.post(arrived); // any thread
// It stays at its address while it is on its way: from the post until the loop's thread calls it. It may be posted again
// from then on, from its own function too, and destroyed there.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <type_traits>
#include <utility>

#include <kaio/io/result.hpp>
#include <kaio/loop/detail/kept_post.hpp>

namespace kaio::inline KAIO_BUILD {

// Any thread may post it. It is neither copied nor moved. REQUIRES: it is not destroyed while it is on its way.
template <class Function> class owned_post final : private detail::kept_post {
    static_assert(std::is_invocable_v<Function&>, "kaio: what is posted must be callable with no argument");

public:
    // `function()` is called by the loop's thread, inside poll or run.
    explicit owned_post(Function function) : kept_post(&run), function_(std::move(function)) {}
    owned_post(const owned_post&) = delete; // -Weffc++ does not see that the base says so
    owned_post& operator=(const owned_post&) = delete;

    // Ends the program with a message if it is on its way.
    ~owned_post() {
        expect_arrived("kaio: an owned_post was destroyed while it was on its way to a loop; run the loop until it has "
                       "been called, or let the loop be destroyed first\n");
    }

    // The function, which stays here.
    Function& function() noexcept { return function_; }

    // For basic_loop::post. `Core` is the loop's.
    template <class Core> result<void> post_to(Core& core) noexcept {
        if (int const error = core.mailbox.open(core.context)) return failure(error);
        if (!depart(core.context.process_mark())) return failure(EBUSY);
        return core.mailbox.deliver(core.context, *this);
    }

private:
    static void run(detail::posted& self) {
        auto& kept = static_cast<owned_post&>(self);
        kept.arrive();
        kept.function_();
    }

    Function function_;
};
template <class Function> owned_post(Function) -> owned_post<Function>;

} // namespace kaio
