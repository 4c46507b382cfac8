// Where a file's next transfer is. Native AIO has no current position, so a stream keeps its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/asio/detail/library.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {

// Every transfer names its offset.
struct no_position {
    static constexpr int advice = POSIX_FADV_RANDOM;

    void opened(int) noexcept {}
    void released(int) const noexcept {}
    std::uint64_t start(int, std::uint64_t offset) const noexcept { return offset; }
    void passed(bool, std::int64_t, std::size_t) const noexcept {}
};

// Copies are the same position: a transfer has one, because the file may move or go meanwhile. Any thread.
class stream_position {
public:
    static constexpr int advice = POSIX_FADV_SEQUENTIAL;

    // Begins where the descriptor's own position is.
    void opened(int fd) {
        auto const at = ::lseek(fd, 0, SEEK_CUR);
        int const flags = ::fcntl(fd, F_GETFL);
        shared_ = std::make_shared<state>();
        shared_->next = at < 0 ? 0 : static_cast<std::uint64_t>(at);
        shared_->appends = flags >= 0 && (flags & O_APPEND) != 0;
    }

    // Sets the descriptor's own position.
    void released(int fd) const noexcept {
        (void)::lseek(fd, detail::narrow<off_t>(static_cast<std::int64_t>(start(fd, 0))), SEEK_SET);
    }

    std::uint64_t start(int fd, std::uint64_t) const noexcept {
        if (!shared_) return 0;
        std::uint64_t const next = shared_->next.load(std::memory_order_relaxed);
        return next == end_of_file ? static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_END)) : next;
    }
    void set(std::uint64_t next) const noexcept { shared_->next.store(next, std::memory_order_relaxed); }

    // After a transfer of so many bytes. One that appends ends wherever the file does.
    void passed(bool reads, std::int64_t offset, std::size_t bytes) const noexcept {
        if (!shared_ || bytes == 0) return;
        set(!reads && shared_->appends ? end_of_file : static_cast<std::uint64_t>(offset) + bytes);
    }

private:
    static constexpr std::uint64_t end_of_file = UINT64_MAX;
    struct state {
        std::atomic<std::uint64_t> next{0}; // in bytes, or end_of_file
        bool appends = false;
    };
    std::shared_ptr<state> shared_{}; // null: not open
};

} // namespace kaio::detail::inline KAIO_ASIO
