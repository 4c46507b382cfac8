// pieces: the parts of a byte range that are transferred by requests of their own. Every piece begins at a multiple of
// the piece size, except for the first. It is a range for for_each_concurrent. Any thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <cstdint>

namespace kaio::inline KAIO_BUILD::detail {

class pieces {
public:
    static constexpr std::int64_t size = 1 << 20; // bytes: a multiple of every alignment
    static constexpr std::size_t at_once = 4;     // pieces in flight

    struct piece {
        std::int64_t offset; // in the file
        std::size_t bytes;
    };
    struct iterator {
        std::int64_t offset, end;
        piece operator*() const noexcept {
            // Both are differences, because the next multiple may be more than an offset can say.
            std::int64_t const left = end - offset, to_next = size - offset % size;
            return {offset, static_cast<std::size_t>(to_next < left ? to_next : left)};
        }
        iterator& operator++() noexcept {
            offset += static_cast<std::int64_t>((**this).bytes);
            return *this;
        }
        bool operator!=(const iterator& other) const noexcept { return offset != other.offset; }
    };

    // REQUIRES: the offset is not negative, and an offset can say where the range ends.
    pieces(std::int64_t offset, std::size_t bytes) noexcept
        : begin_{offset, offset + static_cast<std::int64_t>(bytes)} {}
    iterator begin() const noexcept { return begin_; }
    iterator end() const noexcept { return {begin_.end, begin_.end}; }

private:
    iterator begin_;
};

} // namespace kaio::detail
