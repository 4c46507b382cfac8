// contiguous_progress: how much of a byte range has been transferred, while its pieces complete in any order. What
// counts are the bytes before the first one that is missing. One thread at a time.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <cstdint>

#include <kaio/loop/transfer.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class contiguous_progress {
public:
    // A piece was not transferred from the offset `missing` on, because of `error`, or if that is 0 because the file
    // ends there.
    void stopped_at(std::int64_t missing, int error) noexcept {
        if (missing < end_) {
            end_ = missing;
            error_ = error;
        }
    }

    // True if any piece has stopped. No more need to be begun then.
    bool stopped() const noexcept { return end_ != INT64_MAX; }

    // The result of the range that begins at `begin` and has `size` bytes.
    transfer_result result(std::int64_t begin, std::size_t size) const noexcept {
        return {stopped() ? static_cast<std::size_t>(end_ - begin) : size, error_};
    }

private:
    std::int64_t end_ = INT64_MAX; // the offset of the first byte that is missing; INT64_MAX: none is
    int error_ = 0;                // why it is missing: an errno, 0 for the end of the file
};

} // namespace kaio::detail
