// direct_blocks: the blocks that requests on a file consist of. Direct I/O transfers whole blocks between the file and
// aligned memory. Without it, a block is one byte. Any thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cstddef>
#include <cstdint>

#include <kaio/io/open_file.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class direct_blocks {
public:
    template <open_file File> explicit direct_blocks(const File& file) noexcept {
        if (wants_aligned(file)) alignment_ = file.alignment();
    }

    // The alignment of memory in bytes.
    std::size_t memory() const noexcept { return alignment_.memory; }

    // The offset at which the block begins that holds the byte at `offset`.
    std::int64_t begin_of(std::int64_t offset) const noexcept { return offset & -std::int64_t{alignment_.offset}; }

    // The size of as many whole blocks as `bytes` need.
    std::size_t round_up(std::size_t bytes) const noexcept {
        std::size_t const unit = alignment_.offset;
        return (bytes + unit - 1) & ~(unit - 1);
    }

    // True if a request takes this memory as it is. REQUIRES: it is for an offset at which a block begins.
    bool fit(const void* data, std::size_t bytes) const noexcept {
        return bytes == round_up(bytes) && (reinterpret_cast<std::uintptr_t>(data) & (memory() - 1)) == 0;
    }

private:
    file_alignment alignment_{1, 1}; // bytes, powers of two
};

} // namespace kaio::detail
