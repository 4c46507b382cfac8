#include "support/catch.hpp"
#include "support/child.hpp"

#include <csignal>
#include <cstring>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include <kaio/io/buffer_pool.hpp>

TEST_CASE("a pool returns each buffer once, aligned and apart, and then none") {
    auto const [size, alignment] =
        GENERATE(table<std::size_t, std::size_t>({{1, 1}, {100, 64}, {4096, 4096}, {5000, 512}, {10, 65536}}));
    kaio::buffer_pool pool(37, size, alignment);
    CHECK(pool.count() == 37);
    CHECK(pool.buffer_size() == size);
    std::vector<kaio::pooled_buffer> taken;
    for (unsigned i = 0; i < 37; ++i) {
        taken.push_back(pool.acquire());
        REQUIRE(taken.back());
        REQUIRE(taken.back().size() == size);
        REQUIRE(reinterpret_cast<std::uintptr_t>(taken.back().data()) % alignment == 0);
        std::memset(taken.back().data(), static_cast<int>(i), size);
    }
    CHECK(pool.available() == 0);
    for (unsigned i = 0; i < 37; ++i)
        for (std::byte const b : taken[i]) REQUIRE(b == static_cast<std::byte>(i));

    kaio::pooled_buffer const none = pool.acquire();
    CHECK(!none);
    CHECK(none.data() == nullptr);
    CHECK(none.size() == 0);
    taken.clear();
    CHECK(pool.available() == 37);
}

TEST_CASE("the buffer that was returned last is acquired first, and a handle returns its buffer once") {
    kaio::buffer_pool pool(3, 64);
    kaio::pooled_buffer a = pool.acquire(), b = pool.acquire();
    std::byte *const first = a.data(), *const second = b.data();
    b.reset();
    b = pool.acquire();
    CHECK(b.data() == second);
    a.reset();
    CHECK(!a);
    a.reset();
    CHECK(pool.available() == 2);
    kaio::pooled_buffer c = pool.acquire();
    CHECK(c.data() == first);
    kaio::pooled_buffer d(std::move(c));
    CHECK(!c);
    b = std::move(d);
    CHECK(b.data() == first);
    CHECK(pool.available() == 2);
    auto& same = b;
    b = std::move(same);
    CHECK(b.data() == first);
    CHECK(std::span<std::byte>(b).size() == 64);
}

TEST_CASE("a pool may be moved while its buffers are in use") {
    kaio::buffer_pool first(2, 128);
    kaio::pooled_buffer buffer = first.acquire();
    kaio::buffer_pool second(std::move(first));
    CHECK(first.count() == 0);
    CHECK(!first.acquire());
    CHECK(second.available() == 1);
    buffer.reset();
    CHECK(second.available() == 2);
    kaio::buffer_pool third(1, 1);
    third = std::move(second);
    CHECK(third.available() == 2);
}

TEST_CASE("a pool that asks for huge pages works with them and without") {
    kaio::buffer_pool pool(1000, 4096, 4096, {.huge_pages = true});
    std::set<std::byte*> all;
    std::vector<kaio::pooled_buffer> taken;
    while (kaio::pooled_buffer buffer = pool.acquire()) {
        buffer.data()[4095] = std::byte{1};
        all.insert(buffer.data());
        taken.push_back(std::move(buffer));
    }
    CHECK(all.size() == 1000);
    CHECK_FALSE(kaio::buffer_pool(10, 4096).huge_pages());
}

TEST_CASE("an impossible pool is refused") {
    using pool = kaio::buffer_pool;
    CHECK(pool::try_make(0, 10).error() == std::errc::invalid_argument);
    CHECK(pool::try_make(10, 0).error() == std::errc::invalid_argument);
    CHECK(pool::try_make(10, 10, 0).error() == std::errc::invalid_argument);
    CHECK(pool::try_make(10, 10, 24).error() == std::errc::invalid_argument);
    CHECK(pool::try_make(4'000'000'000, static_cast<std::size_t>(-1) / 16).error() == std::errc::not_enough_memory);
    CHECK_THROWS_WITH(pool(0, 1), test::ContainsSubstring("1 or more"));
}

TEST_CASE("a forked child may destroy a pool whose buffers its parent's requests use") {
    auto pool = std::make_unique<kaio::buffer_pool>(2, 512);
    auto out = std::make_unique<kaio::pooled_buffer>(pool->acquire());
    CHECK(test::in_child([&] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's handler
              (void)out.release();           // like the buffer of a handler that is never called
              pool.reset();
              return 0;
          }) == 0);
    out.reset();
    pool.reset();
}
