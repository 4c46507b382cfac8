// posted_request: a request that one thread posts to the loop of another. That loop's thread submits it. It completes
// there, or back where it came from. Nothing is allocated on the way.
//     kaio::posted_operation operation([](kaio::io_result result) { use(result); });
//     other.post(kaio::read(file, buffer, 0), operation);                  // the handler is called by other's thread
//     other.post(kaio::read(file, buffer, 0), operation, home);            // by the thread of `home`, which posts it
//     auto const result = co_await other.post(kaio::read(file, buffer, 0), home);       // resumes in `home`
// A `home` is the posting thread's own loop. Its run, and its destructor, wait for what has not come back, and the other
// loop has to be run or destroyed for that. A loop that was stopped keeps what has come, and goes on with it in its next
// run. Destroying the other loop ends its requests as ever, and their results still come home. In a forked child nothing
// is submitted and nothing comes back.
// Each arrival counts as a posted function in what poll and run return.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/awaitable.hpp>
#include <kaio/loop/detail/handler_check.hpp>
#include <kaio/loop/detail/kept_post.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD {

// An operation that the caller keeps, for a request that is posted. Its handler takes an io_result, or for fully() a
// transfer_result. It may be posted again, by any thread, as soon as the handler is called, and destroyed there. It is
// neither copied nor moved. REQUIRES: it is not destroyed from its post until then.
template <class Handler> class posted_operation final : private detail::kept_post {
    static constexpr bool whole = transfer_handler<Handler>;
    static_assert(whole || detail::a_handler_takes<io_result>::but_this_is<Handler>::value,
                  "kaio: a handler must be callable with a kaio::io_result");
    using result_type = std::conditional_t<whole, transfer_result, io_result>;

public:
    // `handler(result)` is called on completion, inside poll or run of the loop that basic_loop::post says.
    explicit posted_operation(Handler handler)
        : kept_post(nullptr), handler_(std::move(handler)), operation_(completion{this}) {}
    posted_operation(const posted_operation&) = delete; // -Weffc++ does not see that the base says so
    posted_operation& operator=(const posted_operation&) = delete;

    // Ends the program with a message if it was posted and its handler was not called.
    ~posted_operation() {
        expect_arrived("kaio: a posted_operation was destroyed while it was on its way or in flight; run the loops "
                       "until it has completed, or let them be destroyed first\n");
    }

    // The handler, which stays here.
    Handler& handler() noexcept { return handler_; }

    // For basic_loop::post. `Core` is the loop's, and `Home` that of the loop it came from.
    template <class Core, class What> result<void> post_to(Core& core, const What& what) noexcept {
        if (int const error = core.mailbox.open(core.context)) return failure(error);
        if (!depart(core.context.process_mark())) return failure(EBUSY);
        go_home_ = nullptr;
        return send(core, what);
    }
    template <class Core, class What, class Home>
    result<void> post_to(Core& core, const What& what, Home& home) noexcept {
        home.assert_thread();
        if (int const error = core.mailbox.open(core.context)) return failure(error);
        if (int const error = home.mailbox.open(home.context)) return failure(error);
        if (!depart(home.context.process_mark())) return failure(EBUSY);
        ++home.offloads;
        home_ = &home;
        go_home_ = &go_home<Home>;
        return send(core, what);
    }

private:
    // The handler of the operation in the other loop.
    struct completion {
        posted_operation* self;
        void operator()(result_type result) const { self->completed(result); }
    };

    template <class Core, class What> result<void> send(Core& core, const What& what) noexcept {
        set(core, what);
        core_ = &core;
        call = &submit<Core>;
        return core.mailbox.deliver(core.context, *this);
    }
    template <class Core> void set(Core&, const request& what) noexcept {
        core_of(operation_).set_request(what.block());
    }
    template <class Core> void set(Core& core, const whole_transfer& what) noexcept {
        static_assert(whole, "kaio: the handler of fully() must be callable with a kaio::transfer_result");
        core_of(operation_).set_request(what.first);
        if constexpr (whole) operation_.begin(what.progress, core);
    }

    // In the other loop.
    template <class Core> static void submit(detail::posted& self) noexcept {
        auto& posted = static_cast<posted_operation&>(self);
        auto& core = *static_cast<Core*>(posted.core_);
        detail::operation_core& operation = core_of(posted.operation_);
        core.make_busy(operation);
        core.start(operation);
    }
    void completed(result_type result) {
        if (!go_home_) return finish(result);
        result_ = result;
        go_home_(*this);
    }
    template <class Home> static void go_home(posted_operation& self) noexcept {
        auto& home = *static_cast<Home*>(self.home_);
        self.call = &arrive_home<Home>;
        home.mailbox.post_kept(home.context, self);
    }

    // In the loop where it completes.
    template <class Home> static void arrive_home(detail::posted& self) {
        auto& posted = static_cast<posted_operation&>(self);
        --static_cast<Home*>(posted.home_)->offloads;
        posted.finish(posted.result_);
    }
    void finish(result_type result) {
        arrive();
        handler_(result);
    }

    Handler handler_;
    owned_operation<completion> operation_;
    void* core_ = nullptr;                         // of the loop that it is posted to
    void* home_ = nullptr;                         // the core of the loop that it came from
    void (*go_home_)(posted_operation&) = nullptr; // null: it completes in the other loop
    // A union, so that no result is needed before there is one.
    union {
        result_type result_; // on its way home
    };
};
template <class Handler> posted_operation(Handler) -> posted_operation<Handler>;

// Made by basic_loop::post. What submit would await in the other loop, any `What` of submit's, resumes in the loop that
// the coroutine runs in. If the request can't be posted, the result is the error that a post would have.
// REQUIRES: it is awaited once at most. Destroying it, with the frame it is in, before it has come back ends the program
// with a message.
template <class Core, class Home, class What>
class [[nodiscard("kaio: nothing is posted until it is awaited: co_await loop.post(...)")]] posted_awaitable final
    : private detail::kept_post {
    // What the awaitable takes for the coroutine that awaits it in the other loop.
    struct way_home {
        posted_awaitable* self;

        void* address() const noexcept { return self; }
        static way_home from_address(void* self) noexcept { return {static_cast<posted_awaitable*>(self)}; }
        void resume() const noexcept { self->go_home(); }
    };

public:
    // Made by basic_loop::post.
    template <class W>
    posted_awaitable(Core& core, Home& home,
                     W&& what) noexcept(noexcept(awaitable<Core, What>(core, std::forward<W>(what))))
        : kept_post(nullptr), home_(home), there_(core, std::forward<W>(what)) {}
    // For coroutine types that keep what they await, or wrap it. REQUIRES: `other` has not been awaited
    posted_awaitable(posted_awaitable&& other) noexcept(std::is_nothrow_move_constructible_v<awaitable<Core, What>>)
        : kept_post(nullptr), home_(other.home_), there_(std::move(other.there_)) {}
    posted_awaitable(const posted_awaitable&) = delete;
    posted_awaitable& operator=(const posted_awaitable&) = delete;
    ~posted_awaitable() {
        expect_arrived("kaio: a coroutine was destroyed while it waits for a request in another loop; run the loops "
                       "until it has completed, or let them be destroyed first\n");
    }

    // For `co_await`.
    static constexpr bool await_ready() noexcept { return false; }

    // Returns false if it can't be posted.
    template <class Coroutine> bool await_suspend(Coroutine frame) noexcept {
        Core& core = there_.loop();
        home_.assert_thread();
        int error = core.mailbox.open(core.context);
        if (error == 0) error = home_.mailbox.open(home_.context);
        if (error != 0) {
            there_.refuse(error);
            return false;
        }
        (void)depart(home_.context.process_mark());
        ++home_.offloads;
        frame_ = frame.address();
        arrive_home_ = &arrive_home<Coroutine>;
        call = &submit;
        core.mailbox.post_kept(core.context, *this);
        return true;
    }

    // As of the awaitable of basic_loop::submit.
    decltype(auto) await_resume() noexcept(noexcept(std::declval<awaitable<Core, What>&>().await_resume())) {
        return there_.await_resume();
    }

private:
    // In the other loop.
    static void submit(detail::posted& self) noexcept {
        auto& posted = static_cast<posted_awaitable&>(self);
        posted.there_.await_suspend(way_home{&posted});
    }
    void go_home() noexcept {
        call = arrive_home_;
        home_.mailbox.post_kept(home_.context, *this);
    }

    // At home.
    template <class Coroutine> static void arrive_home(detail::posted& self) {
        auto& posted = static_cast<posted_awaitable&>(self);
        --posted.home_.offloads;
        posted.arrive();
        Coroutine::from_address(posted.frame_).resume();
    }

    Home& home_;
    awaitable<Core, What> there_;
    void* frame_ = nullptr; // of the coroutine that awaits it
    void (*arrive_home_)(detail::posted&) = nullptr;
};

} // namespace kaio
