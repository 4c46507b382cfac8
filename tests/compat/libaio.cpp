#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <kaio/compat/libaio.hpp>

using namespace std::chrono_literals;
using namespace kaio::libaio;

namespace {

struct eventfd_counter {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    ~eventfd_counter() { ::close(fd); }
    void signal() const { ::eventfd_write(fd, 1); }
};

struct context {
    io_context_t it = nullptr;
    explicit context(int capacity = 8) { REQUIRE(io_setup(capacity, &it) == 0); }
    ~context() { io_destroy(it); }
    operator io_context_t() const { return it; }
};

int submit(io_context_t ctx, iocb& block) {
    iocb* batch[] = {&block};
    return io_submit(ctx, 1, batch);
}

iocb read_of_zeros(char& byte) {
    static int const zeros = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
    iocb block;
    io_prep_pread(&block, zeros, &byte, 1, 0);
    return block;
}

iocb poll_of(const eventfd_counter& counter) {
    iocb block;
    io_prep_poll(&block, counter.fd, POLLIN);
    return block;
}

long raw_getevents(io_context_t ctx, long min, long most, io_event* events) {
    return ::syscall(__NR_io_getevents, ctx, min, most, events, nullptr);
}
io_context_t raw_setup() {
    io_context_t made = nullptr;
    REQUIRE(::syscall(__NR_io_setup, 8u, &made) == 0);
    return made;
}

timespec ms(long n) { return {0, n * 1'000'000}; }
timespec none{};
io_context_t const bad = reinterpret_cast<io_context_t>(-1);

long res(const io_event& event) { return static_cast<long>(event.res); }

// Submits the request, and returns what its event says.
long done(io_context_t ctx, iocb& block) {
    io_event event{};
    if (int const answer = submit(ctx, block); answer != 1) return answer;
    if (int const answer = io_getevents(ctx, 1, 1, &event, nullptr); answer != 1) return answer;
    return event.obj == &block ? res(event) : -EPROTO;
}

void on_alarm(int) {}

} // namespace

TEST_CASE("each kind of request does what its name says") {
    test::temporary_file file(8192);
    context ctx;
    char first[3] = {'a', 'b', 'c'}, second[2] = {'d', 'e'}, back[5]{};
    iovec const out[] = {{first, 3}, {second, 2}}, in[] = {{back, 1}, {back + 1, 4}};
    iocb block;

    io_prep_pwrite(&block, file.fd(), first, 3, 100);
    CHECK(done(ctx, block) == 3);
    io_prep_pread(&block, file.fd(), back, 2, 101);
    CHECK(done(ctx, block) == 2);
    CHECK(std::memcmp(back, "bc", 2) == 0);
    io_prep_pwritev(&block, file.fd(), out, 2, 200);
    CHECK(done(ctx, block) == 5);
    io_prep_preadv(&block, file.fd(), in, 2, 200);
    CHECK(done(ctx, block) == 5);
    CHECK(std::memcmp(back, "abcde", 5) == 0);
    io_prep_pwritev2(&block, file.fd(), out, 1, 300, RWF_DSYNC);
    CHECK(block.aio_rw_flags == RWF_DSYNC);
    CHECK(done(ctx, block) == 3);
    io_prep_preadv2(&block, file.fd(), in, 2, 300, 0x4000'0000); // no such flag
    CHECK(done(ctx, block) == -EOPNOTSUPP);
    io_prep_fsync(&block, file.fd());
    CHECK(done(ctx, block) == 0);
    io_prep_fdsync(&block, file.fd());
    CHECK(done(ctx, block) == 0);
    eventfd_counter counter;
    counter.signal();
    block = poll_of(counter);
    CHECK(done(ctx, block) == POLLIN);
    io_prep_pread(&block, -1, back, 1, 0);
    CHECK(done(ctx, block) == -EBADF);
}

TEST_CASE("preparing a request sets the fields that it names, and clears all others") {
    iocb block, zero{};
    std::memset(static_cast<void*>(&block), 0xff, sizeof block);
    char byte;
    io_prep_pwrite(&block, 7, &byte, 9, 11);
    CHECK((block.aio_lio_opcode == IO_CMD_PWRITE && block.aio_fildes == 7 && block.u.c.buf == &byte));
    CHECK((block.u.c.nbytes == 9 && block.u.c.offset == 11));
    block.aio_lio_opcode = 0;
    block.aio_fildes = 0;
    block.u.c.buf = nullptr;
    block.u.c.nbytes = 0;
    block.u.c.offset = 0;
    CHECK(std::memcmp(&block, &zero, sizeof block) == 0);
    io_set_eventfd(&block, 5);
    CHECK((block.u.c.flags == 1 && block.u.c.resfd == 5));
    io_prep_fdsync(&block, 3);
    CHECK((block.aio_lio_opcode == IO_CMD_FDSYNC && block.u.c.flags == 0));
    io_prep_poll(&block, 3, POLLOUT);
    CHECK((block.aio_lio_opcode == IO_CMD_POLL && block.u.poll.events == POLLOUT));
}

TEST_CASE("wrong calls have the kernel's results, and errno stays") {
    errno = 77;
    io_context_t ctx = nullptr;
    CHECK(io_setup(0, &ctx) == -EINVAL);
    CHECK(io_setup(-1, &ctx) == -EINVAL);
    CHECK(io_setup(1, reinterpret_cast<io_context_t*>(-4096)) == -EFAULT);
    CHECK(io_setup(1, nullptr) == -EFAULT);
    CHECK(io_queue_init(0, &ctx) == -EINVAL);
    CHECK(ctx == nullptr);
    REQUIRE(io_setup(8, &ctx) == 0);
    io_context_t const made = ctx;
    CHECK(io_setup(8, &ctx) == -EINVAL);
    CHECK(ctx == made);

    char byte;
    iocb block = read_of_zeros(byte);
    iocb* batch[] = {&block, nullptr};
    for (io_context_t const wrong : {bad, io_context_t(nullptr)}) {
        CHECK(io_submit(wrong, 1, batch) == -EINVAL);
        CHECK(io_submit(wrong, 0, batch) == -EINVAL);
        CHECK(io_destroy(wrong) == -EINVAL);
        CHECK(io_getevents(wrong, 1, 1, nullptr, nullptr) == -EINVAL);
        CHECK(io_queue_run(wrong) == -EINVAL);
    }
    CHECK(io_submit(ctx, 0, batch) == 0);
    CHECK(io_submit(ctx, 0, nullptr) == 0);
    CHECK(io_submit(ctx, -1, batch) == -EINVAL);
    CHECK(io_submit(ctx, 1, nullptr) == -EFAULT);
#if defined(KAIO_ASAN)
    CHECK(io_submit(ctx, 1, batch) == 1); // it would report the null pointer
#else
    CHECK(io_submit(ctx, 2, batch) == 1);
    CHECK(io_submit(ctx, 1, batch + 1) == -EFAULT);
#endif
    io_event event;
    CHECK(io_getevents(ctx, 1, 1, nullptr, nullptr) == -EFAULT); // and the event stays
    CHECK(io_getevents(ctx, 2, 1, &event, nullptr) == -EINVAL);
    CHECK(io_getevents(ctx, -1, 1, &event, nullptr) == -EINVAL);
    CHECK(io_getevents(ctx, 0, 0, nullptr, nullptr) == 0);
    CHECK(io_queue_wait(ctx, nullptr) == 0);
    CHECK(io_getevents(ctx, 1, 1, &event, nullptr) == 1);
    CHECK(io_cancel(ctx, &block, &event) == -EINVAL);
    CHECK(io_destroy(ctx) == 0);
    CHECK(io_destroy(ctx) == -EINVAL);
    CHECK(io_submit(ctx, 1, batch) == -EINVAL);
    CHECK(io_getevents(ctx, 1, 1, &event, nullptr) == -EINVAL);
    CHECK(errno == 77);
}

TEST_CASE("a batch is one call, of which the kernel takes the beginning") {
    context ctx;
    char byte;
    iocb good = read_of_zeros(byte), wrong = good, last = good;
    wrong.aio_fildes = -1;
    iocb* batch[] = {&good, &wrong, &last};
    CHECK(io_submit(ctx, 3, batch) == 1);
    CHECK(io_submit(ctx, 2, batch + 1) == -EBADF);
    CHECK(io_submit(ctx, 1, batch + 2) == 1);
    io_event events[4];
    CHECK(io_getevents(ctx, 2, 4, events, nullptr) == 2);
    CHECK((events[0].obj == &good && events[1].obj == &last));
}

TEST_CASE("a full context refuses with EAGAIN until events are taken") {
    context ctx(1);
    char byte;
    iocb block = read_of_zeros(byte);
    int taken = 0;
    while (submit(ctx, block) == 1) ++taken;
    CHECK(submit(ctx, block) == -EAGAIN);
    std::vector<io_event> events(static_cast<std::size_t>(taken));
    CHECK(io_getevents(ctx, 1, taken, events.data(), nullptr) == taken);
    CHECK(submit(ctx, block) == 1);
}

TEST_CASE("a timeout of nothing takes what is there, and others end a wait") {
    context ctx;
    io_event events[4];
    CHECK(io_getevents(ctx, 1, 4, events, &none) == 0);
    char byte;
    iocb block = read_of_zeros(byte);
    REQUIRE(submit(ctx, block) == 1);
    CHECK(io_getevents(ctx, 4, 4, events, &none) == 1);
    timespec past{-5, 0}, soon = ms(20);
    CHECK(io_getevents(ctx, 1, 4, events, &past) == 0);
    auto const began = std::chrono::steady_clock::now();
    CHECK(io_getevents(ctx, 1, 4, events, &soon) == 0);
    CHECK(std::chrono::steady_clock::now() - began >= 20ms);
    REQUIRE(submit(ctx, block) == 1);
    timespec forever{INT32_MAX, 0};
    CHECK(io_getevents(ctx, 1, 4, events, &forever) == 1);
}

TEST_CASE("a wait for several events sleeps until they are there") {
    context ctx;
    std::array<eventfd_counter, 3> counters;
    std::array<iocb, 3> blocks;
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(submit(ctx, blocks[i] = poll_of(counters[i])) == 1);
    std::thread other([&] {
        for (auto const& counter : counters) {
            std::this_thread::sleep_for(5ms);
            counter.signal();
        }
    });
    io_event events[4];
    CHECK(io_getevents(ctx, 3, 4, events, nullptr) == 3);
    other.join();
    timespec soon = ms(10);
    REQUIRE(submit(ctx, blocks[0]) == 1);
    CHECK(io_getevents(ctx, 2, 4, events, &soon) == 1); // fewer than it wanted
}

TEST_CASE("several threads submit and take events of one context: each event comes to one thread") {
    constexpr int submitters = 2, takers = 3, each = 4000;
    struct job {
        iocb block;
        std::atomic<int> times = 0;
        char byte;
    };
    std::vector<job> jobs(submitters * each);
    context ctx(64);
    std::atomic<int> taken = 0, wrong = 0;
    std::vector<std::thread> threads;
    for (int s = 0; s < submitters; ++s)
        threads.emplace_back([&, s] {
            for (int i = 0; i < each; ++i) {
                job& fresh = jobs[static_cast<std::size_t>(s * each + i)];
                fresh.block = read_of_zeros(fresh.byte);
                fresh.block.data = &fresh;
                int answer;
                while ((answer = submit(ctx, fresh.block)) == -EAGAIN) std::this_thread::yield();
                if (answer != 1) ++wrong;
            }
        });
    for (int t = 0; t < takers; ++t)
        threads.emplace_back([&, t] {
            io_event events[5];
            while (taken < submitters * each) {
                timespec limit = t == 0 ? none : ms(5);
                int const count = io_getevents(ctx, t == 1 ? 3 : 1, 5, events, &limit);
                if (count < 0) ++wrong;
                for (int i = 0; i < count; ++i) {
                    job& ended = *static_cast<job*>(events[i].data);
                    if (events[i].obj != &ended.block || res(events[i]) != 1 || ++ended.times != 1) ++wrong;
                    ++taken;
                }
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(taken == submitters * each);
}

TEST_CASE("io_destroy ends the waits of other threads, and one thread alone destroys") {
    for (int round = 0; round < 5; ++round) {
        io_context_t ctx = nullptr;
        REQUIRE(io_setup(8, &ctx) == 0);
        eventfd_counter never;
        iocb block = poll_of(never);
        REQUIRE(submit(ctx, block) == 1);
        std::atomic<int> ended = 0, destroyed = 0;
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([&] {
                io_event events[2];
                // A poll that io_destroy cancels may be the last event.
                while (io_getevents(ctx, 1, 2, events, nullptr) >= 0) {
                }
                ++ended;
            });
        std::this_thread::sleep_for(5ms);
        for (int i = 0; i < 2; ++i) threads.emplace_back([&] { destroyed += io_destroy(ctx) == 0; });
        for (std::thread& thread : threads) thread.join();
        CHECK(ended == 3);
        CHECK(destroyed == 1);
    }
}

TEST_CASE("contexts come and go while other threads call with their numbers") {
    std::atomic<io_context_t> shown = nullptr;
    std::atomic<bool> over = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            char byte;
            iocb block = read_of_zeros(byte);
            io_event events[4];
            while (!over) {
                io_context_t const ctx = shown;
                int const submitted = submit(ctx, block);
                timespec limit = none;
                int const count = io_getevents(ctx, 1, 4, events, &limit);
                if ((submitted != 1 && submitted != -EINVAL && submitted != -EAGAIN) || (count < 0 && count != -EINVAL))
                    ++wrong;
            }
        });
    for (int round = 0; round < 30; ++round) {
        io_context_t ctx = nullptr;
        REQUIRE(io_setup(8, &ctx) == 0);
        shown = ctx;
        std::this_thread::sleep_for(1ms);
        CHECK(io_destroy(ctx) == 0);
    }
    over = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("many contexts at once are told apart") {
    std::vector<io_context_t> all(200);
    std::vector<iocb> blocks(all.size());
    char byte;
    for (std::size_t i = 0; i < all.size(); ++i) {
        int const made = io_setup(1, &all[i]);
        if (made == -EAGAIN) SKIP_TEST("fs.aio-max-nr leaves no room");
        REQUIRE(made == 0);
        blocks[i] = read_of_zeros(byte);
        REQUIRE(submit(all[i], blocks[i]) == 1);
    }
    std::vector<std::thread> threads; // each io_destroy takes 30 ms
    std::atomic<int> wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i)
        threads.emplace_back([&, i] {
            io_event event{};
            if (io_getevents(all[i], 1, 1, &event, nullptr) != 1 || event.obj != &blocks[i]) ++wrong;
            if (io_destroy(all[i]) != 0 || io_destroy(all[i]) != -EINVAL) ++wrong;
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
}

TEST_CASE("a context that a system call made, or moved, is the kernel's, and works") {
    io_context_t ctx = raw_setup();
    char byte;
    iocb block = read_of_zeros(byte);
    SECTION("made") {
        CHECK(done(ctx, block) == 1);
        CHECK(io_destroy(ctx) == 0);
        CHECK(io_destroy(ctx) == -EINVAL);
    }
    SECTION("moved") {
        CHECK(io_destroy(ctx) == 0);
        ctx = nullptr;
        REQUIRE(io_setup(8, &ctx) == 0);
        std::size_t const size = 4096; // 127 events
        void* const elsewhere = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        auto const nr = reinterpret_cast<kaio::aio_ring*>(ctx)->nr;
        if (nr != 127 || ::mremap(ctx, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) != elsewhere)
            SKIP_TEST("the ring has another size, or can't be moved");
        ctx = static_cast<io_context_t>(elsewhere);
        CHECK(done(ctx, block) == 1);
        CHECK(io_destroy(ctx) == 0);
    }
}

TEST_CASE("a context that a system call destroyed is forgotten when its number comes again") {
    io_context_t ctx = nullptr;
    REQUIRE(io_setup(8, &ctx) == 0);
    io_context_t const first = ctx;
    REQUIRE(::syscall(__NR_io_destroy, ctx) == 0);
    ctx = nullptr;
    REQUIRE(io_setup(8, &ctx) == 0);
    if (ctx != first) WARN("the kernel gave another number");
    char byte;
    iocb block = read_of_zeros(byte);
    for (int i = 0; i < 10; ++i) CHECK(done(ctx, block) == 1);
    CHECK(io_destroy(ctx) == 0);
}

TEST_CASE("a program may look at the ring, and may take events by its own system calls") {
    context ctx;
    char byte;
    iocb block = read_of_zeros(byte);
    auto* const ring = reinterpret_cast<kaio::aio_ring*>(ctx.it);
    if (ring->magic != kaio::aio_ring_magic) SKIP_TEST("there is no ring here");
    for (unsigned i = 0; i < 300; ++i) { // more than the ring has
        REQUIRE(submit(ctx, block) == 1);
        if (i % 3 == 0) {
            REQUIRE(ring->head != ring->tail);
            ring->head = (ring->head + 1) % ring->nr;
        } else {
            io_event event;
            CHECK((i % 3 == 1 ? raw_getevents(ctx, 1, 1, &event) : io_getevents(ctx, 1, 1, &event, nullptr)) == 1);
        }
    }
}

TEST_CASE("a thread may take all events by system calls while another submits") {
    context ctx(32);
    std::atomic<int> taken = 0;
    std::thread taker([&] {
        io_event events[8];
        for (long count; (count = raw_getevents(ctx, 1, 8, events)) > 0;)
            if ((taken += static_cast<int>(count)) == 3000) return;
    });
    char byte;
    iocb block = read_of_zeros(byte);
    for (int i = 0; i < 3000; ++i)
        while (submit(ctx, block) != 1) std::this_thread::yield();
    taker.join();
    CHECK(taken == 3000);
}

TEST_CASE("a child of fork can't use its parent's contexts, and can make its own") {
    int const status = test::in_child([] {
        // In a process of its own, because threads of this one may hold what a child would need.
        io_context_t ctx = nullptr;
        if (io_setup(8, &ctx) != 0) return 1;
        char byte;
        iocb block = read_of_zeros(byte);
        if (submit(ctx, block) != 1) return 2;
        io_context_t slept = nullptr;
        if (io_setup(8, &slept) != 0) return 3;
        io_event event;
        std::thread sleeper([&] { (void)io_getevents(slept, 1, 1, &event, nullptr); });
        std::this_thread::sleep_for(5ms);
        int const inner = test::in_child([&] {
            for (io_context_t const parents : {ctx, slept}) {
                if (io_submit(parents, 0, nullptr) != -EINVAL || submit(parents, block) != -EINVAL) return 4;
                if (io_getevents(parents, 0, 1, &event, &none) != -EINVAL) return 5;
                if (io_destroy(parents) != -EINVAL) return 6;
            }
            io_context_t own = nullptr;
            if (io_setup(8, &own) != 0 || own == ctx) return 7;
            if (done(own, block) != 1 || io_destroy(own) != 0) return 8;
            return 0;
        });
        if (inner != 0) return inner;
        if (io_getevents(ctx, 1, 1, &event, &none) != 1 || done(ctx, block) != 1) return 9; // the parent's is as it was
        if (io_destroy(slept) != 0) return 10;
        sleeper.join();
        return io_destroy(ctx) == 0 ? 0 : 11;
    });
    CHECK(status == 0);
}

namespace {
struct calls {
    int count = 0;
    long last = 0;
    io_context_t ctx = nullptr;
} called;
void on_completion(io_context_t ctx, iocb*, long result, long) {
    ++called.count;
    called.last = result;
    called.ctx = ctx;
}
void on_last_completion(io_context_t ctx, iocb*, long, long) {
    ++called.count;
    io_destroy(ctx);
}
} // namespace

TEST_CASE("io_queue_run calls the callbacks of the events that are there") {
    io_context_t ctx = bad;
    REQUIRE(io_queue_init(8, &ctx) == 0);
    test::temporary_file file(512);
    eventfd_counter counter;
    counter.signal();
    iocb blocks[3];
    called = {};
    CHECK(io_queue_run(ctx) == 0);
    CHECK(io_poll(ctx, &blocks[0], on_completion, counter.fd, POLLIN) == 1);
    while (called.count < 1) REQUIRE(io_queue_run(ctx) == 0);
    CHECK((called.count == 1 && called.last == POLLIN && called.ctx == ctx));
    CHECK(io_fsync(ctx, &blocks[1], on_completion, file.fd()) == 1);
    CHECK(io_fdsync(ctx, &blocks[2], on_completion, file.fd()) == 1);
    while (called.count < 3) REQUIRE(io_queue_run(ctx) == 0);
    CHECK((called.count == 3 && called.last == 0));
    char byte;
    blocks[0] = read_of_zeros(byte);
    io_set_callback(&blocks[0], on_last_completion);
    CHECK(submit(ctx, blocks[0]) == 1);
    CHECK(io_queue_run(ctx) == -EINVAL); // its callback destroyed the context
    CHECK(called.count == 4);
    CHECK(io_queue_release(ctx) == -EINVAL);
}

TEST_CASE("a completion adds 1 to the eventfd, and then its event is there") {
    context ctx;
    eventfd_counter counter;
    char byte;
    iocb block = read_of_zeros(byte);
    io_set_eventfd(&block, counter.fd);
    REQUIRE(submit(ctx, block) == 1);
    eventfd_t count = 0;
    CHECK((::eventfd_read(counter.fd, &count) == 0 && count == 1));
    io_event event;
    CHECK(io_getevents(ctx, 0, 1, &event, &none) == 1);
}

TEST_CASE("a poll can be cancelled, and its event comes") {
    context ctx;
    eventfd_counter never;
    iocb block = poll_of(never);
    REQUIRE(submit(ctx, block) == 1);
    io_event event{};
    CHECK(io_cancel(ctx, &block, &event) == -EINPROGRESS);
    CHECK(io_getevents(ctx, 1, 1, &event, nullptr) == 1);
    CHECK(event.obj == &block);
}

TEST_CASE("a signal ends a wait with EINTR, and io_pgetevents can mask it") {
    struct sigaction action{}, old;
    action.sa_handler = on_alarm;
    ::sigaction(SIGALRM, &action, &old);
    itimerval const every{{0, 10'000}, {0, 10'000}}, never{};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    context ctx;
    io_event event;
    CHECK(io_getevents(ctx, 1, 1, &event, nullptr) == -EINTR);
    sigset_t mask;
    ::sigfillset(&mask);
    timespec limit = ms(30);
    int const masked = io_pgetevents(ctx, 1, 1, &event, &limit, &mask);
    CHECK(io_pgetevents(ctx, 1, 1, &event, nullptr, nullptr) == -EINTR);
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &old, nullptr);
    CHECK((masked == 0 || masked == -ENOSYS));
}
