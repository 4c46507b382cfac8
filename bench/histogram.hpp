// Counts times in buckets whose width grows with the time: about 3 % wide from a nanosecond to hours, in 12 KiB.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace bench {

class histogram {
public:
    void add(std::int64_t ns) noexcept {
        auto const value = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
        ++counts_[std::min(bucket(value), buckets - 1)];
        ++total_;
        max_ = std::max(max_, value);
    }
    void add(const histogram& other) noexcept {
        for (std::size_t i = 0; i < buckets; ++i) counts_[i] += other.counts_[i];
        total_ += other.total_;
        max_ = std::max(max_, other.max_);
    }

    std::uint64_t count() const noexcept { return total_; }
    double max() const noexcept { return static_cast<double>(max_); }

    // Returns the time (ns) that `share` (0 to 1) of all times did not exceed, rounded to a bucket.
    double at(double share) const noexcept {
        auto left = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        for (std::size_t i = 0; i < buckets; ++i) {
            if (left < counts_[i]) return std::min(middle(i), max());
            left -= counts_[i];
        }
        return max();
    }

    // Calls visit(ns, count) for each bucket that is not empty, shortest time first.
    template <class Visit> void for_each(Visit visit) const {
        for (std::size_t i = 0; i < buckets; ++i)
            if (counts_[i] != 0) visit(middle(i), counts_[i]);
    }

private:
    static constexpr unsigned bits = 5; // 32 buckets for each power of two
    static constexpr std::size_t buckets = 48 << bits;

    static std::size_t bucket(std::uint64_t value) noexcept {
        if (value < (1u << bits)) return value;
        auto const shift = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
        return (std::size_t{shift} << bits) + (value >> shift);
    }
    static double middle(std::size_t index) noexcept {
        if (index < (2u << bits)) return static_cast<double>(index);
        auto const shift = (index >> bits) - 1;
        auto const low = ((index & ((1u << bits) - 1)) | (1u << bits)) << shift;
        return static_cast<double>(low) + static_cast<double>((std::size_t{1} << shift) - 1) / 2;
    }

    std::array<std::uint64_t, buckets> counts_{};
    std::uint64_t total_ = 0, max_ = 0;
};

} // namespace bench
