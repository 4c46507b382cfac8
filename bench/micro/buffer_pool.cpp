// Memory for direct I/O, 4 KiB each, from a pool, from std::aligned_alloc and as aligned_buffer. Each benchmark returns
// the owner of the memory, and Catch2 destroys it within the time that it measures.
#include <support/catch.hpp>

#include <array>
#include <cstdlib>
#include <memory>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/buffer_pool.hpp>

namespace {

constexpr std::size_t size = 4096;
constexpr unsigned many = 32;

struct release {
    void operator()(void* memory) const noexcept { std::free(memory); }
};
using allocated = std::unique_ptr<void, release>;

template <class Owner, class Take> std::array<Owner, many> take_many(Take take) {
    std::array<Owner, many> taken;
    for (Owner& one : taken) one = take();
    return taken;
}

} // namespace

TEST_CASE("buffers for direct I/O") {
    kaio::buffer_pool pool(many, size);
    auto const from_pool = [&] { return pool.acquire(); };
    auto const from_heap = [] { return allocated(std::aligned_alloc(size, size)); };
    auto const aligned = [] { return kaio::aligned_buffer(size, size); };

    BENCHMARK("1 of a buffer_pool") { return from_pool(); };
    BENCHMARK("1 by std::aligned_alloc") { return from_heap(); };
    BENCHMARK("1 aligned_buffer") { return aligned(); };
    BENCHMARK("32 of a buffer_pool") { return take_many<kaio::pooled_buffer>(from_pool); };
    BENCHMARK("32 by std::aligned_alloc") { return take_many<allocated>(from_heap); };
    BENCHMARK("32 aligned_buffers") { return take_many<kaio::aligned_buffer>(aligned); };
    CHECK(pool.available() == many);
}
