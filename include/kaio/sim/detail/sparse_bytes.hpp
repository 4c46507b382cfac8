// sparse_bytes: the bytes of a file. Only pages that were written take memory, and the others are zeros. One thread at
// a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <unordered_map>

#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::sim::detail {

class sparse_bytes {
public:
    std::uint64_t size() const noexcept { return size_; }

    // Cuts the file, or lengthens it with zeros.
    void resize(std::uint64_t size) {
        if (size < size_) {
            std::erase_if(pages_, [&](const auto& entry) { return entry.first * page_size >= size; });
            if (auto const last = pages_.find(size / page_size); last != pages_.end())
                std::fill(last->second.begin() + size % page_size, last->second.end(), std::byte{});
        }
        size_ = size;
    }

    // REQUIRES: offset + size <= size()
    void read(std::uint64_t offset, std::byte* data, std::size_t size) const noexcept {
        for_each_page(offset, size, [&](std::uint64_t page, std::size_t start, std::size_t done, std::size_t count) {
            auto const found = pages_.find(page);
            if (found == pages_.end())
                std::memset(data + done, 0, count);
            else
                std::memcpy(data + done, found->second.data() + start, count);
        });
    }

    // True if any of these bytes lies in a page that was never written.
    bool has_hole(std::uint64_t offset, std::size_t size) const noexcept {
        bool found = false;
        for_each_page(offset, size, [&](std::uint64_t page, std::size_t, std::size_t, std::size_t) {
            found = found || pages_.find(page) == pages_.end();
        });
        return found;
    }

    // Lengthens the file as needed. REQUIRES: offset + size does not overflow
    void write(std::uint64_t offset, const std::byte* data, std::size_t size) {
        for_each_page(offset, size, [&](std::uint64_t page, std::size_t start, std::size_t done, std::size_t count) {
            std::memcpy(pages_[page].data() + start, data + done, count);
        });
        size_ = (std::max)(size_, offset + size);
    }

private:
    static constexpr std::size_t page_size = 4096;

    // Calls visit(page, offset in the page, bytes before this piece, bytes) for each piece.
    template <class Visit> static void for_each_page(std::uint64_t offset, std::size_t size, Visit visit) {
        for (std::size_t done = 0; done < size;) {
            auto const start = kaio::detail::narrow<std::size_t>((offset + done) % page_size);
            std::size_t const count = (std::min)(size - done, page_size - start);
            visit((offset + done) / page_size, start, done, count);
            done += count;
        }
    }

    std::unordered_map<std::uint64_t, std::array<std::byte, page_size>> pages_{}; // no result depends on its order
    std::uint64_t size_ = 0;
};

} // namespace kaio::sim::detail
