#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <csignal>
#include <cstddef>
#include <memory>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/coro/waiting_pool.hpp>

static_assert(!std::is_copy_constructible_v<kaio::waiting_pool::buffer>);

namespace {

test::owned_coroutine acquire(kaio::waiting_pool& pool, std::vector<int>& order, int number) {
    kaio::waiting_pool::buffer const buffer = co_await pool.acquire();
    CHECK(buffer);
    order.push_back(number);
}

} // namespace

TEST_CASE("a coroutine waits for a buffer until one is returned, first in, first out") {
    kaio::waiting_pool pool(kaio::buffer_pool(2, 512));
    CHECK(pool.count() == 2);
    CHECK(pool.buffer_size() == 512);
    kaio::waiting_pool::buffer first = pool.try_acquire(), second = pool.try_acquire();
    CHECK((first && second));
    CHECK(first.data() != second.data());
    CHECK(first.size() == 512);
    CHECK(first.end() - first.begin() == 512);
    CHECK_FALSE(pool.try_acquire());
    std::vector<int> order;
    std::vector<test::owned_coroutine> waiting;
    for (int i = 0; i < 3; ++i) waiting.push_back(acquire(pool, order, i));
    CHECK(order.empty());
    first.reset();
    CHECK_FALSE(first);
    CHECK(first.data() == nullptr);
    CHECK(order == std::vector<int>{0, 1, 2});
    CHECK(pool.available() == 1);
}

TEST_CASE("a handle can be moved, and one that is assigned to returns the buffer that it had") {
    kaio::waiting_pool pool(kaio::buffer_pool(2, 512));
    kaio::waiting_pool::buffer first = pool.try_acquire(), second = pool.try_acquire();
    std::byte* const place = second.data();
    kaio::waiting_pool::buffer third = std::move(first);
    CHECK_FALSE(first);
    CHECK(first.size() == 0);
    CHECK(pool.available() == 0);
    third = std::move(second);
    CHECK(pool.available() == 1);
    CHECK(third.data() == place);
    auto& same = third;
    third = std::move(same);
    CHECK(third.data() == place);
    third = kaio::waiting_pool::buffer();
    CHECK(pool.available() == 2);
}

TEST_CASE("nobody has a buffer that another has") {
    test::temporary_file file(4096);
    kaio::loop loop(8);
    kaio::waiting_pool pool(kaio::buffer_pool(3, 4096));
    std::set<std::byte*> used;
    std::size_t most = 0;
    int done = 0;
    auto const work = [&]() -> kaio::task<> {
        for (int i = 0; i < 20; ++i) {
            kaio::waiting_pool::buffer const buffer = co_await pool.acquire();
            bool const fresh = used.insert(buffer.data()).second;
            if (used.size() > most) most = used.size();
            kaio::io_result const r = co_await loop.submit(kaio::read(file, buffer, 0));
            done += fresh && r.bytes() == 4096;
            used.erase(buffer.data());
        }
    };
    for (int i = 0; i < 10; ++i) kaio::spawn(loop, work());
    loop.run();
    CHECK(done == 200);
    CHECK(most == 3);
    CHECK(pool.available() == 3);
}

TEST_CASE("a million coroutines that wait for one buffer do not grow the stack") {
    kaio::waiting_pool pool(kaio::buffer_pool(1, 512));
    int had = 0;
    auto const use = [](kaio::waiting_pool& p, int& count) -> test::free_running {
        kaio::waiting_pool::buffer const buffer = co_await p.acquire();
        ++count;
    };
    kaio::waiting_pool::buffer first = pool.try_acquire();
    for (int i = 0; i < 1'000'000; ++i) use(pool, had);
    first.reset();
    CHECK(had == 1'000'000);
    CHECK(pool.available() == 1);
}

TEST_CASE("a coroutine that is destroyed while it waits takes no buffer") {
    kaio::waiting_pool pool(kaio::buffer_pool(1, 512));
    std::vector<int> order;
    kaio::waiting_pool::buffer first = pool.try_acquire();
    test::owned_coroutine second = acquire(pool, order, 2), third = acquire(pool, order, 3);
    second.reset();
    first.reset();
    CHECK(order == std::vector<int>{3});
    CHECK(pool.available() == 1);
}

TEST_CASE("only the buffers that a pool had when it was given are handed out") {
    kaio::buffer_pool buffers(3, 512);
    kaio::pooled_buffer out = buffers.acquire();
    kaio::waiting_pool pool(std::move(buffers));
    CHECK(pool.available() == 2);
    out.reset();
    CHECK(pool.available() == 2);
}

TEST_CASE("destroying a pool while a coroutine waits for a buffer ends the program with a message") {
    CHECK(test::in_child([] {
              std::signal(SIGABRT, SIG_DFL); // not Catch2's
              ::close(STDERR_FILENO);
              kaio::buffer_pool buffers(1, 512);
              kaio::pooled_buffer const only = buffers.acquire();
              auto pool = std::make_unique<kaio::waiting_pool>(std::move(buffers));
              std::vector<int> order;
              test::owned_coroutine const waiting = acquire(*pool, order, 1);
              pool.reset();
              return 0;
          }) == 1000 + SIGABRT);
}
