// What the loop's slab costs: requests with handlers of several sizes through a loop on a kernel that does nothing, which
// takes an operation out of the slab and gives it back each time; beside it, operations that need no slab, and the heap.
#include "benchmark.hpp"

#include <array>
#include <memory>
#include <vector>

#include <kaio/kaio.hpp>

#include "instant_kernel.hpp"

namespace {

constexpr unsigned batch = 32;
using loop = kaio::basic_loop<micro::instant_kernel>;

// Of as many bytes as so many pointers.
template <std::size_t Pointers> struct handler {
    unsigned* done;
    std::array<void*, Pointers - 1> rest{};
    void operator()(kaio::io_result r) const noexcept { *done += static_cast<unsigned>(r.bytes()); }
};
static_assert(sizeof(handler<6>) == kaio::operation_slab::handler_room);

template <std::size_t Pointers> unsigned through_slab(loop& l) {
    static char byte[1];
    unsigned done = 0;
    for (unsigned i = 0; i < batch; ++i) l.submit(kaio::read(0, byte, 0), handler<Pointers>{&done});
    l.run();
    return done;
}

} // namespace

TEST_CASE("32 requests through the loop") {
    loop l(batch);
    BENCHMARK("handlers of 16 bytes, in the slab") { return through_slab<2>(l); };
    BENCHMARK("handlers of 48 bytes, in the slab") { return through_slab<6>(l); };
    BENCHMARK("handlers of 56 bytes, on the heap") { return through_slab<7>(l); };

    unsigned done = 0;
    char byte[1];
    using owned = kaio::owned_operation<handler<2>>;
    std::vector<std::unique_ptr<owned>> operations;
    for (unsigned i = 0; i < batch; ++i) operations.push_back(std::make_unique<owned>(handler<2>{&done}));
    BENCHMARK("the caller's operations") {
        for (auto& op : operations) l.submit(kaio::read(0, byte, 0), *op);
        l.run();
        return done;
    };
    CHECK(through_slab<6>(l) == batch); // what was timed did run the handlers
    CHECK(through_slab<7>(l) == batch);
    CHECK(done % batch == 0);
    CHECK(done != 0);
}

TEST_CASE("the heap in the slab's place") {
    std::array<void*, batch> taken{};
    BENCHMARK("32 x new and delete, 128 bytes") {
        for (void*& memory : taken) memory = ::operator new(128);
        for (void*& memory : taken) ::operator delete(memory);
        return taken.size();
    };
}
