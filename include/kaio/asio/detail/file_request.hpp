// One transfer of a file, from the function that starts it until its handler is called, and a queue of transfers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include <kaio/asio/detail/library.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {

struct file_request {
    iocb block{};                 // first, so an event's iocb is the request
    file_request* next = nullptr; // in a queue
    const void* key = nullptr;    // of what its cancellation slot calls; null: no slot
    std::int64_t result = 0;      // as in io_event::res
    // Hands it to the executor of its handler, if that is not simply the io_context's.
    void (*post)(file_request&) = nullptr;
    // Ends its life. The handler is called or destroyed.
    enum class ending { call, destroy };
    void (*end)(file_request&, ending) = nullptr;
    // For the io_context, see request_memory.
    bool room_is_used = false;
    alignas(std::max_align_t) unsigned char room[64];

    int fd() const noexcept { return static_cast<int>(block.aio_fildes); }
    bool reads() const noexcept {
        auto const op = static_cast<opcode>(block.aio_lio_opcode);
        return op == opcode::pread || op == opcode::preadv;
    }

    // What the handler gets.
    error_code error() const noexcept {
        if (result < 0) return error_code(static_cast<int>(-result), net::error::get_system_category());
        return result == 0 && reads() ? error_code(net::error::eof) : error_code();
    }
    std::size_t bytes() const noexcept { return result < 0 ? 0 : static_cast<std::size_t>(result); }
};

static_assert(std::is_standard_layout_v<file_request>, "kaio: its address is that of its first member");

// The allocator of what the io_context makes for a request: its room, so that a completion allocates nothing. Asio has
// freed that when it calls a handler, which ends the request. Other executors need not do so.
template <class T> struct request_memory {
    using value_type = T;
    file_request* request;

    explicit request_memory(file_request* owner) noexcept : request(owner) {}
    template <class Other> request_memory(const request_memory<Other>& other) noexcept : request(other.request) {}

    T* allocate(std::size_t count) {
        if (count * sizeof(T) > sizeof request->room || request->room_is_used)
            return std::allocator<T>().allocate(count);
        request->room_is_used = true;
        return static_cast<T*>(static_cast<void*>(request->room));
    }
    void deallocate(T* memory, std::size_t count) noexcept {
        if (static_cast<void*>(memory) != request->room) return std::allocator<T>().deallocate(memory, count);
        request->room_is_used = false;
    }
    template <class Other> bool operator==(const request_memory<Other>& other) const noexcept {
        return request == other.request;
    }
};

// What an executor gets: a function that ends the request, called or not.
class posted_request {
public:
    explicit posted_request(file_request& posted) noexcept : request_(&posted) {}
    posted_request(posted_request&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
    posted_request& operator=(posted_request&&) = delete;
    ~posted_request() {
        if (request_) request_->end(*request_, file_request::ending::destroy);
    }

    void operator()() {
        file_request& called = *std::exchange(request_, nullptr);
        called.end(called, file_request::ending::call);
    }

protected:
    file_request* request_;
};

// For the io_context.
struct request_posted_here : posted_request {
    using posted_request::posted_request;
    using allocator_type = request_memory<void>;
    allocator_type get_allocator() const noexcept { return allocator_type(request_); }
};

// For other executors.
template <class Allocator> struct request_posted_elsewhere : posted_request {
    Allocator allocator;

    request_posted_elsewhere(file_request& posted, const Allocator& of_handler) noexcept
        : posted_request(posted), allocator(of_handler) {}
    using allocator_type = Allocator;
    allocator_type get_allocator() const noexcept { return allocator; }
};

// First in, first out.
class file_request_queue {
public:
    file_request_queue() noexcept = default;
    file_request_queue(file_request_queue&& other) noexcept
        : first_(std::exchange(other.first_, nullptr)), last_(std::exchange(other.last_, nullptr)) {}
    file_request_queue& operator=(file_request_queue&&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }

    void push_back(file_request& request) noexcept {
        request.next = nullptr;
        (last_ ? last_->next : first_) = &request;
        last_ = &request;
    }
    void push_front(file_request& request) noexcept {
        request.next = first_;
        if (!first_) last_ = &request;
        first_ = &request;
    }
    // Null if it is empty.
    file_request* pop() noexcept {
        file_request* const taken = first_;
        if (!taken) return nullptr;
        first_ = taken->next;
        if (!first_) last_ = nullptr;
        return taken;
    }
    void append(file_request_queue&& others) noexcept {
        if (others.empty()) return;
        (last_ ? last_->next : first_) = std::exchange(others.first_, nullptr);
        last_ = std::exchange(others.last_, nullptr);
    }
    // Takes out those of which `which` is true.
    template <class Which> file_request_queue extract(Which which) noexcept {
        file_request_queue all = std::move(*this), taken;
        while (file_request* const request = all.pop()) (which(*request) ? taken : *this).push_back(*request);
        return taken;
    }

private:
    file_request* first_ = nullptr;
    file_request* last_ = nullptr;
};

// Last in, first out, without a lock.
class file_request_stack {
public:
    // Returns true if it was empty. Any thread.
    bool push(file_request& request) noexcept {
        file_request* top = first_.load(std::memory_order_relaxed);
        do request.next = top;
        while (!first_.compare_exchange_weak(top, &request, std::memory_order_release, std::memory_order_relaxed));
        return top == nullptr; // the request may be gone already
    }
    // Moves all behind those of a queue, in the order in which they were pushed. One thread at a time.
    void move_to(file_request_queue& queue) noexcept {
        file_request_queue pushed;
        for (file_request* request = first_.exchange(nullptr, std::memory_order_acquire); request;) {
            file_request& each = *std::exchange(request, request->next);
            pushed.push_front(each);
        }
        queue.append(std::move(pushed));
    }

private:
    std::atomic<file_request*> first_{nullptr};
};

} // namespace kaio::detail::inline KAIO_ASIO
