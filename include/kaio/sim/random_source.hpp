// random_source: the one source of chance in a simulated world. It is a short, fast generator (splitmix64), whose
// numbers depend on the seed alone, whatever the machine and the standard library are.
//     kaio::sim::random_source random(seed);
//     std::int64_t const time = random.between<std::int64_t>(20'000, 200'000);
//     if (random.chance(0.1)) fail();
// One thread at a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <concepts>
#include <cstdint>

namespace kaio::inline KAIO_BUILD::sim {

class random_source {
public:
    using result_type = std::uint64_t; // a standard UniformRandomBitGenerator, for std::shuffle and the like

    // The same seed makes the same numbers.
    explicit constexpr random_source(std::uint64_t seed) noexcept : state_(seed) {}

    // In parentheses here and elsewhere, because <windows.h> and others define macros min and max.
    static constexpr std::uint64_t(min)() noexcept { return 0; }
    static constexpr std::uint64_t(max)() noexcept { return UINT64_MAX; }
    constexpr std::uint64_t operator()() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    // A number from 0 to limit - 1, and 0 if the limit is 0. The slight bias of a remainder does not matter here.
    // REQUIRES: limit >= 0
    template <std::integral T> constexpr T below(T limit) noexcept {
        return limit == 0 ? T{0} : static_cast<T>((*this)() % static_cast<std::uint64_t>(limit));
    }

    // A number from least to most, both of which are possible. REQUIRES: least <= most
    template <std::integral T> constexpr T between(T least, T most) noexcept {
        assert(least <= most && "kaio: there is no number between these");
        // Unsigned, because there may be more numbers than a T holds.
        std::uint64_t const others = static_cast<std::uint64_t>(most) - static_cast<std::uint64_t>(least);
        std::uint64_t const number = others == UINT64_MAX ? (*this)() : below(others + 1);
        return static_cast<T>(static_cast<std::uint64_t>(least) + number);
    }

    // True with this probability, 0 to 1. With 0 no number is drawn, so a fault that is switched off costs nothing.
    constexpr bool chance(double probability) noexcept {
        return probability > 0 && static_cast<double>((*this)() >> 11) * 0x1p-53 < probability;
    }

private:
    std::uint64_t state_;
};

} // namespace kaio::sim
