// Bytes, and how many, for the tests of read_range and write_file.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <vector>

namespace test {

inline std::vector<std::byte> random_bytes(std::mt19937& random, std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t at = 0; at < size; at += 4) {
        auto const word = static_cast<std::uint32_t>(random());
        std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(4, size - at));
    }
    return bytes;
}

// A length at, around or between those that matter: the units of direct I/O, and pieces of a MiB.
inline std::size_t random_length(std::mt19937& random) {
    constexpr std::size_t edges[] = {0, 512, 4096, 1 << 20, 3 << 20};
    std::size_t const edge = edges[random() % std::size(edges)];
    switch (random() % 3) {
    case 0:
        return edge;
    case 1:
        return edge + random() % 3;
    default:
        return random() % (edge + 5000);
    }
}

// How far behind an aligned address memory begins: nothing, or a part of a block.
inline std::size_t random_shift(std::mt19937& random) { return random() % 2 == 0 ? 0 : random() % 1000; }

} // namespace test
