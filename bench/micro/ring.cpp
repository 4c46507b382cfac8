// Taking events out of the ring, and by io_getevents. The requests are writes to /dev/null, which are made once. The
// ring's head is then set back again and again, so that the same events can be taken and nothing else is timed.
#include <support/catch.hpp>

#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/io/request.hpp>
#include <kaio/sys/kernel.hpp>
#include <kaio/sys/ring.hpp>

namespace {

using kaio::linux_kernel;

class full_ring {
public:
    explicit full_ring(unsigned events) : out(events), count_(events) {
        // The kernel keeps the file open for as long as it needs it, and these writes complete at once.
        int const null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        std::vector<kaio::iocb> blocks(events, kaio::iocb(kaio::write(null, byte_, 0)));
        std::vector<kaio::iocb*> batch;
        for (kaio::iocb& block : blocks) batch.push_back(&block);
        REQUIRE(linux_kernel::io_setup(events, &id) == 0);
        REQUIRE(linux_kernel::io_submit(id, static_cast<long>(events), batch.data()) == static_cast<long>(events));
        ::close(null);
        ring = kaio::completion_ring(id);
        REQUIRE(ring.available() == events);
    }
    full_ring(const full_ring&) = delete;
    full_ring& operator=(const full_ring&) = delete;
    ~full_ring() { linux_kernel::io_destroy(id); }

    void fill_again() noexcept { __atomic_store_n(&reinterpret_cast<kaio::aio_ring*>(id)->head, 0u, __ATOMIC_RELEASE); }

    unsigned take() noexcept {
        return ring.take(out.data(), count_, [this] { return count_; });
    }
    long get_events() noexcept {
        kaio::kernel_timespec const at_once{};
        return linux_kernel::io_getevents(id, 0, static_cast<long>(count_), out.data(), &at_once);
    }

    kaio::aio_context_id id = 0;
    kaio::completion_ring ring;
    std::vector<kaio::io_event> out;

private:
    unsigned count_;
    char byte_[1] = {};
};

} // namespace

TEST_CASE("taking events") {
    for (unsigned const events : {1u, 8u, 32u, 128u, 512u, 1024u}) {
        full_ring r(events);
        std::string const what = std::to_string(events) + (events == 1 ? " event" : " events");
        BENCHMARK(what + " from the ring") {
            r.fill_again();
            return r.take();
        };
        BENCHMARK(what + " by io_getevents") {
            r.fill_again();
            return r.get_events();
        };
        r.fill_again();
        CHECK(r.get_events() == static_cast<long>(events)); // the timed calls did take them
        r.fill_again();
        CHECK(r.take() == events);
    }
    full_ring r(1);
    r.take();
    BENCHMARK("a look at an empty ring") { return r.ring.has_events(); };
    BENCHMARK("io_getevents that finds nothing") { return r.get_events(); };
}
