// The cost of the loop's slab. Requests with handlers of several sizes go through a loop on a kernel that does nothing,
// and each takes an operation from the slab and returns it. For comparison: operations that need no slab, and the heap.
#include <support/catch.hpp>

#include <array>
#include <memory>
#include <vector>

#include <kaio/kaio.hpp>

#include "instant_kernel.hpp"

namespace {

constexpr unsigned many = 32;

struct handler {
    std::size_t* done;
    void operator()(kaio::io_result r) const noexcept { *done += r.bytes(); }
};
// A handler that carries More pointers more.
template <std::size_t More> struct large_handler : handler {
    std::array<const void*, More> more;
};
static_assert(sizeof(large_handler<5>) == kaio::detail::operation_slab::handler_room);

} // namespace

TEST_CASE("32 requests through the loop") {
    kaio::basic_loop<micro::instant_kernel> l(many);
    std::size_t done = 0;
    char byte[1];
    const void* const p = &l;
    auto const run = [&](auto make) {
        for (unsigned i = 0; i < many; ++i) l.submit(kaio::read(0, byte, 0), make());
        return l.run();
    };
    BENCHMARK("handlers of 8 bytes, in the slab") {
        return run([&] { return handler{&done}; });
    };
    BENCHMARK("handlers of 48 bytes, in the slab") {
        return run([&] { return large_handler<5>{{&done}, {p, p, p, p, p}}; });
    };
    BENCHMARK("handlers of 56 bytes, on the heap") {
        return run([&] { return large_handler<6>{{&done}, {p, p, p, p, p, p}}; });
    };

    std::vector<std::unique_ptr<kaio::owned_operation<handler>>> operations;
    for (unsigned i = 0; i < many; ++i)
        operations.push_back(std::make_unique<kaio::owned_operation<handler>>(handler{&done}));
    BENCHMARK("the caller's operations") {
        for (auto& op : operations) l.submit(kaio::read(0, byte, 0), *op);
        return l.run();
    };
    CHECK(done % many == 0); // the timed calls did call the handlers
    CHECK(done != 0);
}

TEST_CASE("the heap in the slab's place") {
    std::array<void*, many> taken{};
    BENCHMARK("32 x new and delete, 128 bytes") {
        for (void*& memory : taken) memory = ::operator new(128);
        for (void*& memory : taken) ::operator delete(memory);
        return taken.size();
    };
}
