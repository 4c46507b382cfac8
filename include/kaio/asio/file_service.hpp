// file_service: the native AIO context behind all files of one io_context. The first file makes it. A program that
// wants more requests in flight than usual, or fewer, makes it before:
//     asio::io_context context;
//     asio::make_service<kaio::file_service>(context, 1024u);
//     kaio::random_access_file file(context, "data", kaio::random_access_file::read_only);
// What functions start goes to the kernel together, when the handlers that are due have run: one io_submit for all.
// Completions come by an eventfd, which Asio's reactor watches while requests are in flight. Without requests there is
// no outstanding work, and run() returns. Any number of threads may run the io_context.
// Not in kaio/kaio.hpp: kaio itself does not need Asio. docs/decisions/asio-files.md has the reasons.
#pragma once

#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/asio/detail/file_request.hpp>
#include <kaio/asio/detail/library.hpp>
#include <kaio/asio/detail/plain_executor.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/shared_context.hpp>
#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::inline KAIO_ASIO {

// Its public functions are for the files.
class file_service : public detail::net::execution_context::service {
public:
    // Asio finds it by this.
    static inline detail::net::execution_context::id id;

    // Room for `capacity` requests in the kernel, which count against fs.aio-max-nr; if there is less, fewer will do.
    // Further requests wait their turn. `events` is as in context_options. The kernel's context is made when the first
    // request starts.
    explicit file_service(detail::net::execution_context& owner, unsigned capacity = 256,
                          reaping events = reaping::automatic)
        : detail::net::execution_context::service(owner), capacity_(capacity), reaping_(events) {}

    // Called before a file starts requests, with its executor. Any thread.
    template <class Executor> void use(const Executor& executor) {
        guard const held(mutex_);
        if (!executor_) executor_ = detail::plain_executor(executor);
    }

    // Takes over a request, which ends some time after this has returned. Any thread.
    void start(detail::file_request& request) noexcept {
        if (stopped_) return destroy(request);
        // The first one has a turn posted, and those behind it go with that.
        if (arrived_.push(request)) detail::net::post(executor_, [this] { turn(); });
    }

    // Has the handler of a request with a result called, but not before this returns. Without memory for that the
    // program ends, because no handler may get lost. Any thread.
    void complete(detail::file_request& request) noexcept {
        if (stopped_) return destroy(request);
        if (request.post) return request.post(request);
        auto& own = static_cast<detail::net::io_context&>(context());
        detail::net::defer(own.get_executor(), detail::request_posted_here(request));
    }

    // Ends with operation_aborted what waits for the kernel: the requests of a file, or that of a cancellation slot.
    // What the kernel has can't be cancelled. Any thread.
    void cancel(int fd) noexcept {
        abort_if(lock(mutex_), [fd](const detail::file_request& request) { return request.fd() == fd; });
    }
    void cancel(const void* slot) noexcept {
        abort_if(lock(mutex_), [slot](const detail::file_request& request) { return request.key == slot; });
    }

    // The same for a descriptor that is about to be closed or given away. Afterwards no request will name it: it waits
    // while another thread is handing one to the kernel.
    void leave(int fd) noexcept {
        lock held(mutex_);
        ++leaving_;
        handed_over_.wait(held, [&] { return !is_handing_over(fd); });
        --leaving_;
        abort_if(std::move(held), [fd](const detail::file_request& request) { return request.fd() == fd; });
    }

private:
    using guard = std::lock_guard<std::mutex>;
    using lock = std::unique_lock<std::mutex>;

    static constexpr unsigned most = 64; // requests of one io_submit, and events that are taken at once

    // A batch while a thread hands it to the kernel. Its requests may end before io_submit returns, so it has their
    // descriptors itself.
    struct batch {
        iocb* blocks[most];
        int fds[most];
        unsigned count = 0;
        int error = 0; // an errno if there is no context
        batch* next = nullptr;
    };

    void shutdown() noexcept override {
        lock held(mutex_);
        stopped_ = true;
        arrived_.move_to(waiting_);
        detail::file_request_queue never = std::move(waiting_);
        held.unlock();
        // The kernel writes to the buffers of what is in flight, so that is waited for.
        while (wait()) {
        }
        while (detail::file_request* const request = never.pop()) destroy(*request);
        close();
    }

    // A child has no use for its parent's context, so all requests complete before a fork, and the next one makes a new
    // context.
    void notify_fork(detail::net::execution_context::fork_event event) override {
        if (event != detail::net::execution_context::fork_prepare) return;
        do submit();
        while (wait());
        close();
    }

    // The eventfd was readable, and is read.
    void woken() {
        {
            guard const held(mutex_);
            watching_ = false;
        }
        turn();
    }

    void turn() {
        submit();
        reap();
        guard const held(mutex_);
        if (!waiting_.empty() && in_flight_ < capacity_) detail::net::post(executor_, [this] { turn(); });
        if (in_flight_ != 0 && !watching_ && context_) watch();
    }

    // Hands the kernel what waits, as far as there is room.
    void submit() noexcept {
        for (bool more = true; more;) {
            batch taken;
            more = take(taken) && hand_over(taken);
            forget(taken);
        }
    }

    // Returns true if it took any.
    bool take(batch& taken) noexcept {
        guard const held(mutex_);
        arrived_.move_to(waiting_);
        if (!waiting_.empty()) taken.error = open();
        while (taken.count < most && (in_flight_ < capacity_ || taken.error != 0)) {
            detail::file_request* const request = waiting_.pop();
            if (!request) break;
            request->block.aio_flags |= iocb_flag_resfd;
            request->block.aio_resfd = static_cast<std::uint32_t>(eventfd_);
            taken.blocks[taken.count] = &request->block;
            taken.fds[taken.count++] = request->fd();
            ++in_flight_;
        }
        taken.next = std::exchange(handing_over_, &taken);
        return taken.count != 0;
    }

    // Returns true if the kernel had room for all.
    bool hand_over(const batch& taken) noexcept {
        view<iocb* const> rest(taken.blocks, taken.count);
        while (!rest.empty()) {
            submission const answer = taken.error == 0 ? context_->submit(rest) : submission{0, taken.error};
            rest = rest.subspan(answer.accepted());
            if (answer) break;
            if (answer.ring_full() && put_back(rest)) return false;
            io_event refused{};
            refused.obj = reinterpret_cast<std::uintptr_t>(rest[0]);
            refused.res = -answer.error_number();
            complete(view<const io_event>(&refused, 1));
            rest = rest.subspan(1);
        }
        return true;
    }

    // The kernel has less room than was asked for. Returns false if nothing else is in flight, whose completion would
    // make room.
    bool put_back(view<iocb* const> rest) noexcept {
        guard const held(mutex_);
        if (in_flight_ == rest.size()) return false;
        in_flight_ -= detail::narrow<unsigned>(rest.size());
        capacity_ = in_flight_;
        for (std::size_t i = rest.size(); i-- > 0;) waiting_.push_front(request_of(rest[i]));
        return true;
    }

    void forget(const batch& handed) noexcept {
        guard const held(mutex_);
        batch** link = &handing_over_;
        while (*link != &handed) link = &(*link)->next;
        *link = handed.next;
        if (leaving_ != 0) handed_over_.notify_all();
    }

    bool is_handing_over(int fd) const noexcept {
        for (const batch* each = handing_over_; each; each = each->next)
            for (unsigned i = 0; i < each->count; ++i)
                if (each->fds[i] == fd) return true;
        return false;
    }

    // Completes what the kernel has completed, without waiting.
    void reap() noexcept {
        if (nothing_in_flight()) return;
        io_event events[most];
        for (unsigned count = most; count == most;) {
            count = context_->reap(events);
            complete(view<const io_event>(events, count));
        }
    }

    // The same, but waits for something. Returns false if nothing is in flight.
    bool wait() noexcept {
        if (nothing_in_flight()) return false;
        io_event events[most];
        result<unsigned> const count = context_->wait(events);
        if (!count) return count.error().value() == EINTR; // EINVAL: in a child, where nothing completes
        complete(view<const io_event>(events, *count));
        return true;
    }

    void complete(view<const io_event> events) noexcept {
        {
            guard const held(mutex_);
            in_flight_ -= detail::narrow<unsigned>(events.size());
        }
        for (io_event const& event : events) {
            detail::file_request& request = request_of(event.request());
            request.result = event.res;
            complete(request);
        }
    }

    bool nothing_in_flight() noexcept {
        guard const held(mutex_);
        return in_flight_ == 0 || !context_;
    }

    // Has the reactor watch for completions. With the mutex locked.
    void watch() {
        events_->async_read_some(detail::net::buffer(&events_read_, sizeof events_read_),
                                 [this](const detail::error_code& error, std::size_t) {
                                     if (error != detail::net::error::operation_aborted) woken();
                                 });
        watching_ = true;
    }

    // Makes the context if there is none. Returns an errno, or 0. With the mutex locked.
    int open() noexcept {
        if (context_) return 0;
        result<shared_context> made = shared_context::try_make(capacity_, {.at_least = 1, .events = reaping_});
        if (!made) return made.error().value();
        eventfd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (eventfd_ < 0) return errno;
        detail::error_code error;
        events_.emplace(executor_).assign(eventfd_, error);
        if (error) {
            ::close(eventfd_);
            return error.value();
        }
        capacity_ = made->capacity();
        context_.emplace(std::move(*made));
        return 0;
    }
    void close() noexcept {
        events_.reset();
        context_.reset();
        watching_ = false;
    }

    template <class Which> void abort_if(lock held, Which which) noexcept {
        arrived_.move_to(waiting_);
        detail::file_request_queue taken = waiting_.extract([&](detail::file_request& request) {
            if (!which(request)) return false;
            request.result = -ECANCELED;
            return true;
        });
        held.unlock();
        while (detail::file_request* const request = taken.pop()) complete(*request);
    }
    static detail::file_request& request_of(iocb* block) noexcept {
        return *reinterpret_cast<detail::file_request*>(block); // whose first member it is
    }
    static void destroy(detail::file_request& request) noexcept {
        request.end(request, detail::file_request::ending::destroy);
    }

    detail::file_request_stack arrived_{}; // what was started; a turn is posted unless it is empty
    std::mutex mutex_; // guards all that follows, but for the calls of context_. No handler is called with it locked
    unsigned capacity_;
    reaping const reaping_;
    bool stopped_ = false;                    // by the end of the io_context
    bool watching_ = false;                   // the reactor reads the eventfd
    detail::net::any_io_executor executor_{}; // of the io_context; set when the first request starts
    detail::file_request_queue waiting_{};    // for the kernel
    batch* handing_over_ = nullptr;           // by threads that are in submit()
    unsigned leaving_ = 0;                    // threads that wait in leave()
    std::condition_variable handed_over_{};
    unsigned in_flight_ = 0; // in the kernel, or on the way there
    std::optional<shared_context> context_{};
    std::optional<detail::net::posix::stream_descriptor> events_{}; // the eventfd
    int eventfd_ = -1;
    std::uint64_t events_read_ = 0; // what the reactor reads. The number is not used
};

} // namespace kaio::inline KAIO_ASIO
