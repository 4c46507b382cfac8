// page_cache: which bytes of a file are in memory, and when those arrive that are on their way. The bytes themselves are
// elsewhere. One thread at a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <algorithm>
#include <cstdint>
#include <unordered_map>

namespace kaio::inline KAIO_BUILD::sim::detail {

class page_cache {
public:
    // Returns when all of these bytes are there. What is not on its way yet arrives at `arrival`.
    std::int64_t read(std::uint64_t offset, std::uint64_t size, std::int64_t arrival) {
        std::int64_t last = 0;
        for (std::uint64_t page = offset / page_size; page * page_size < offset + size; ++page)
            last = (std::max)(last, arrivals_.try_emplace(page, arrival).first->second);
        return last;
    }

    // All of these bytes are there.
    void fill(std::uint64_t offset, std::uint64_t size, std::int64_t now) { (void)read(offset, size, now); }

    // The number of bytes from `offset` on that are there.
    std::uint64_t there(std::uint64_t offset, std::uint64_t size, std::int64_t now) const {
        std::uint64_t end = offset;
        for (; end < offset + size; end = (end / page_size + 1) * page_size)
            if (auto const found = arrivals_.find(end / page_size); found == arrivals_.end() || found->second > now)
                break;
        return (std::min)(end - offset, size);
    }

    // From now on nothing is there.
    void evict() noexcept { arrivals_.clear(); }

private:
    static constexpr std::uint64_t page_size = 4096;

    std::unordered_map<std::uint64_t, std::int64_t> arrivals_{}; // of pages; no result depends on its order
};

} // namespace kaio::sim::detail
