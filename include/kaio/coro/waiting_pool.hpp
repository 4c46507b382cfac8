// waiting_pool: a buffer_pool whose buffers coroutines wait for, first in, first out.
//     kaio::waiting_pool pool(kaio::buffer_pool(64, 65536, file.alignment().memory));
//     kaio::waiting_pool::buffer const buffer = co_await pool.acquire(); // waits until one is free
//     kaio::io_result const r = co_await loop.submit(kaio::read(file, buffer, 0));
// One thread. docs/decisions/resuming-who-waits.md says how coroutines are resumed.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <kaio/coro/semaphore.hpp>
#include <kaio/io/buffer_pool.hpp>

namespace kaio::inline KAIO_BUILD {

// It stays where it is. Nobody gets a buffer before those that wait already. A coroutine that is destroyed while it
// waits no longer does, and takes no buffer. Destroying the pool while a coroutine waits ends the program with a
// message. REQUIRES: no handle outlives it. Allocates: nothing. System calls: none.
class waiting_pool {
public:
    // One buffer of the pool, or none. It can be moved, and returns its buffer when it is destroyed. If a coroutine
    // waits for it, that is resumed there, on the caller's stack, and ends the program if it throws there. A task does
    // not throw there.
    class buffer {
    public:
        // No buffer, as after moving from it.
        buffer() noexcept = default;
        buffer(buffer&& other) noexcept
            : pool_(std::exchange(other.pool_, nullptr)), memory_(std::move(other.memory_)) {}
        // Returns the buffer that it had before.
        buffer& operator=(buffer&& other) noexcept {
            buffer moved(std::move(other));
            buffer const before(std::move(*this)); // is returned at the end
            pool_ = std::exchange(moved.pool_, nullptr);
            memory_ = std::move(moved.memory_);
            return *this;
        }
        buffer(const buffer&) = delete;
        buffer& operator=(const buffer&) = delete;
        ~buffer() { reset(); }

        // False: there is no buffer.
        explicit operator bool() const noexcept { return pool_ != nullptr; }

        // Returns the buffer now. Its content is lost. Errors: throws what the resumption of a coroutine throws.
        void reset() {
            if (!pool_) return;
            memory_.reset();
            std::exchange(pool_, nullptr)->free_.release();
        }

        // The buffer's bytes: null and 0 for no buffer.
        std::byte* data() const noexcept { return memory_.data(); }
        std::size_t size() const noexcept { return memory_.size(); }
        std::byte* begin() const noexcept { return memory_.begin(); }
        std::byte* end() const noexcept { return memory_.end(); }

    private:
        friend waiting_pool;
        explicit buffer(waiting_pool& pool) noexcept : pool_(&pool), memory_(pool.pool_.acquire()) {
            assert(memory_ && "kaio: a pool has fewer buffers than its count says");
        }

        waiting_pool* pool_ = nullptr; // null: no buffer
        pooled_buffer memory_{};
    };

    // Hands out the buffers that `pool` has now.
    explicit waiting_pool(buffer_pool pool) noexcept : pool_(std::move(pool)), free_(pool_.available()) {}
    waiting_pool(const waiting_pool&) = delete;
    waiting_pool& operator=(const waiting_pool&) = delete;

    // `co_await` of it returns a buffer. The content is what the last user left.
    [[nodiscard("kaio: nothing is acquired until it is awaited: co_await pool.acquire()")]] auto acquire() noexcept {
        return acquisition(*this);
    }

    // A buffer that is free and that nobody waits for, or a handle without one (false).
    [[nodiscard]] buffer try_acquire() noexcept { return free_.try_acquire() ? buffer(*this) : buffer(); }

    // The number of buffers, free or not.
    std::uint32_t count() const noexcept { return pool_.count(); }
    // Buffers that can be had without waiting.
    std::size_t available() const noexcept { return free_.available(); }
    // The size of each buffer in bytes, as asked for.
    std::size_t buffer_size() const noexcept { return pool_.buffer_size(); }

private:
    using permit = decltype(std::declval<semaphore&>().acquire());
    class acquisition final : public permit {
    public:
        explicit acquisition(waiting_pool& pool) noexcept : permit(pool.free_.acquire()), pool_(pool) {}
        buffer await_resume() const noexcept { return buffer(pool_); }

    private:
        waiting_pool& pool_;
    };

    buffer_pool pool_;
    semaphore free_; // a permit for each free buffer
};

} // namespace kaio
