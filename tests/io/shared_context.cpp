#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <span>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/shared_context.hpp>

using namespace std::chrono_literals;

namespace {

using scripted_context = kaio::basic_shared_context<test::scripted_kernel>;

struct event_counter {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    ~event_counter() { ::close(fd); }
    void signal() const { ::eventfd_write(fd, 1); }
};

template <class Context> bool submit(Context& context, kaio::iocb& block) {
    kaio::iocb* batch[] = {&block};
    return bool(context.submit(batch));
}

template <class Context> kaio::iocb read_of_zeros(Context&, char& byte) {
    static kaio::file const zeros = kaio::file::open("/dev/zero", O_RDONLY);
    return kaio::read(zeros, std::span(&byte, 1), 0);
}

void on_alarm(int) {}

} // namespace

TEST_CASE("requests complete from the ring and by io_getevents, and are counted") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::shared_context context(8, {.events = how});
    CHECK(context.uses_ring() == (how == kaio::reaping::ring));
    CHECK(context.capacity() == 8);
    CHECK(context.usable());
    std::array<char, 6> bytes;
    std::array<kaio::iocb, 6> blocks;
    std::array<kaio::iocb*, 6> batch;
    for (std::size_t i = 0; i < 6; ++i) batch[i] = &(blocks[i] = read_of_zeros(context, bytes[i]));
    auto const answer = context.submit(batch);
    CHECK(answer);
    CHECK(answer.accepted() == 6);
    CHECK(context.in_flight() == 6);
    std::array<kaio::io_event, 4> events;
    REQUIRE(context.reap(events) == 4);
    CHECK(events[3].request() == &blocks[3]);
    CHECK(context.in_flight() == 2);
    REQUIRE(*context.wait(events, 2) == 2);
    CHECK(events[1].request() == &blocks[5]);
    CHECK(context.in_flight() == 0);
    CHECK(context.reap(events) == 0);
    CHECK(context.submit({}));
    CHECK(context.wait(events, 5).error() == std::errc::invalid_argument);
}

TEST_CASE("a refused request stops a batch, and accounts for no event") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::script script;
    script.most_at_once = 1;
    scripted_context context(8, {.events = how}, test::scripted_kernel(script));
    char byte;
    kaio::iocb good = read_of_zeros(context, byte), second = good, bad = kaio::read(-1, std::span(&byte, 1), 0);
    kaio::iocb* batch[] = {&good, &second, &bad, &good};
    auto const answer = context.submit(batch);
    CHECK(answer.failed() == 2);
    CHECK(answer.error_number() == EBADF);
    CHECK(context.in_flight() == 2);
    std::array<kaio::io_event, 4> events;
    CHECK(*context.wait(events, 2) == 2);
}

TEST_CASE("submit_prefix is one io_submit, and none for an empty batch") {
    test::script script;
    script.most_at_once = 1;
    scripted_context context(8, {}, test::scripted_kernel(script));
    char byte;
    kaio::iocb good = read_of_zeros(context, byte), second = good, bad = kaio::read(-1, std::span(&byte, 1), 0);
    kaio::iocb* batch[] = {&good, &second, &bad};
    auto const part = context.submit_prefix(batch);
    CHECK((part && part.accepted() == 1));
    CHECK(context.in_flight() == 1);
    CHECK(context.submit_prefix({batch + 2, 1}).error_number() == EBADF);
    CHECK(script.submits == 2);
    CHECK(context.submit_prefix({}));
    CHECK(script.submits == 2);
    std::array<kaio::io_event, 4> events;
    CHECK(*context.wait(events) == 1);
}

TEST_CASE("system calls: none for events in the ring, or for none, one to sleep") {
    test::script script;
    scripted_context context(8, {.events = kaio::reaping::ring}, test::scripted_kernel(script));
    if (!context.uses_ring()) SKIP_TEST("there is no trusted ring here");
    char byte;
    kaio::iocb block = read_of_zeros(context, byte);
    std::array<kaio::io_event, 4> events;
    REQUIRE(submit(context, block));
    CHECK(script.submits == 1);
    CHECK(*context.wait(events) == 1);
    CHECK(context.reap(events) == 0);
    CHECK(*context.wait(events, 0) == 0);
    CHECK(script.waits == 0);
    CHECK(*context.wait(events, 1, 1ms) == 0);
    CHECK(script.waits == 1);
    REQUIRE(context.stop()); // nobody sleeps
    CHECK(*context.wait(events) == 0);
    CHECK(script.submits == 1);
    CHECK(script.waits == 1);
}

TEST_CASE("while a thread may take events in the kernel, no other takes any from the ring") {
    scripted_context* shared = nullptr;
    test::script script;
    scripted_context context(8, {.events = kaio::reaping::ring}, test::scripted_kernel(script));
    if (!context.uses_ring()) SKIP_TEST("there is no trusted ring here");
    shared = &context;
    char byte;
    kaio::iocb block = read_of_zeros(context, byte);
    unsigned empty = 99, taken = 99;
    script.before_getevents = [&] { // another thread may do this now
        if (script.waits != 1) return;
        kaio::io_event event;
        empty = shared->reap({&event, 1});
        CHECK(script.waits == 1);
        REQUIRE(submit(*shared, block));
        taken = shared->reap({&event, 1});
        CHECK(script.waits == 2);
    };
    kaio::io_event event;
    CHECK(*context.wait({&event, 1}, 1, 1ms) == 0);
    CHECK(empty == 0);
    CHECK(taken == 1);
    REQUIRE(submit(context, block));
    CHECK(*context.wait({&event, 1}) == 1);
    CHECK(script.waits == 2); // from the ring again
}

TEST_CASE("a thread sleeps while nothing is in flight until another submits something") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::shared_context context(8, {.events = how});
    char byte;
    kaio::iocb block = read_of_zeros(context, byte);
    kaio::io_event event{};
    unsigned taken = 0;
    std::thread sleeper([&] { taken = context.wait({&event, 1}).value("wait"); });
    std::this_thread::sleep_for(10ms);
    CHECK(submit(context, block));
    sleeper.join();
    CHECK(taken == 1);
    CHECK(event.request() == &block);
    CHECK(context.in_flight() == 0);
}

TEST_CASE("stop() wakes all threads that sleep, whatever they wait for, and its own events are nobody's") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::shared_context context(8, {.events = how});
    event_counter never;
    kaio::iocb poll = kaio::poll(never.fd, POLLIN);
    for (unsigned round = 0; round < 20; ++round) {
        if (round == 10) REQUIRE(submit(context, poll)); // the others are idle
        std::atomic<unsigned> taken = 0, awake = 0;
        std::vector<std::thread> sleepers;
        for (unsigned i = 0; i < 4; ++i)
            sleepers.emplace_back([&, i] {
                std::array<kaio::io_event, 8> events;
                while (!context.stopped()) taken += context.wait(events, 1 + i).value("wait");
                ++awake;
            });
        if (round % 2 == 0) std::this_thread::sleep_for(5ms);
        CHECK(context.stop());
        for (std::thread& sleeper : sleepers) sleeper.join();
        CHECK(awake == 4);
        CHECK(taken == 0);
        CHECK(context.stopped());
        CHECK(context.in_flight() == (round < 10 ? 0 : 1));
        context.restart();
        CHECK(!context.stopped());
    }
}

TEST_CASE("after stop() waits return what is there, and after restart() they sleep again") {
    kaio::shared_context context(8);
    CHECK(context.stop());
    CHECK(context.stop());
    std::array<kaio::io_event, 4> events;
    CHECK(*context.wait(events) == 0);
    char byte;
    kaio::iocb block = read_of_zeros(context, byte);
    REQUIRE(submit(context, block));
    CHECK(*context.wait(events, 2) == 1);
    context.restart();
    auto const began = std::chrono::steady_clock::now();
    CHECK(*context.wait(events, 1, 20ms) == 0);
    CHECK(std::chrono::steady_clock::now() - began >= 20ms);
}

TEST_CASE("a wait for several events sleeps until it has them, or its limit has passed") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::shared_context context(8, {.events = how});
    std::vector<event_counter> counters(4);
    std::array<kaio::iocb, 4> blocks;
    for (std::size_t i = 0; i < 4; ++i) {
        blocks[i] = kaio::poll(counters[i].fd, POLLIN);
        REQUIRE(submit(context, blocks[i]));
    }
    std::thread other([&] {
        for (std::size_t i = 0; i < 3; ++i) {
            std::this_thread::sleep_for(5ms);
            counters[i].signal();
        }
    });
    std::array<kaio::io_event, 8> events;
    CHECK(*context.wait(events, 3) == 3);
    other.join();
    for (std::size_t i = 0; i < 3; ++i) CHECK(events[i].request() == &blocks[i]);

    counters[3].signal();
    auto const began = std::chrono::steady_clock::now();
    CHECK(*context.wait(events, 2, 20ms) == 1);
    CHECK(std::chrono::steady_clock::now() - began >= 20ms);
    CHECK(events[0].request() == &blocks[3]);
}

TEST_CASE("wait_once makes one system call, and the kernel waits for all events") {
    struct watched_kernel : test::scripted_kernel {
        std::vector<long>* least;
        long io_getevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                          const kaio::kernel_timespec* limit) const noexcept {
            least->push_back(min);
            return test::scripted_kernel::io_getevents(id, min, max, events, limit);
        }
    };
    test::script script;
    std::vector<long> least;
    kaio::basic_shared_context<watched_kernel> context(8, {.events = kaio::reaping::ring},
                                                       watched_kernel{test::scripted_kernel(script), &least});
    if (!context.uses_ring()) SKIP_TEST("there is no trusted ring here");
    char byte;
    kaio::iocb block = read_of_zeros(context, byte);
    std::array<kaio::io_event, 4> events;
    REQUIRE(submit(context, block));
    CHECK(*context.wait_once(events) == 1);
    CHECK(*context.wait_once(events, 0) == 0);
    CHECK(least.empty());
    REQUIRE(submit(context, block));
    CHECK(*context.wait_once(events, 3, 5ms) == 1); // fewer: the limit has passed
    CHECK(least == std::vector<long>{2});
    CHECK(context.wait_once(events, 5).error_number() == EINVAL);

    REQUIRE(submit(context, block));
    script.before_getevents = [&] {
        if (script.waits != 2) return;
        REQUIRE(submit(context, block));
        REQUIRE(submit(context, block));
    };
    CHECK(*context.wait_once(events, 3) == 3);
    CHECK(least == std::vector<long>{2, 2});
    script.before_getevents = [&] {
        if (script.waits == 3) REQUIRE(submit(context, block));
    };
    CHECK(*context.wait_once(events, 2, 5ms) == 1); // the kernel took some, until the limit
    CHECK(least == std::vector<long>{2, 2, 2});
    script.getevents[script.waits + 1] = -EINTR; // a signal does not make it sleep again
    CHECK(context.wait_once(events, 2).error_number() == EINTR);
}

TEST_CASE("a wait that sleeps several times keeps its limit") {
    struct watched_kernel : kaio::linux_kernel {
        std::vector<std::int64_t>* limits;
        event_counter* counter;
        long io_getevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                          const kaio::kernel_timespec* limit) const noexcept {
            limits->push_back(limit ? limit->tv_sec * 1'000'000'000 + limit->tv_nsec : -1);
            if (limits->size() == 1) counter->signal();
            return kaio::linux_kernel::io_getevents(id, min, max, events, limit);
        }
    };
    std::vector<std::int64_t> limits;
    event_counter counter;
    kaio::basic_shared_context<watched_kernel> context(4, {}, watched_kernel{{}, &limits, &counter});
    kaio::iocb poll = kaio::poll(counter.fd, POLLIN);
    REQUIRE(submit(context, poll));
    std::array<kaio::io_event, 4> events;
    CHECK(*context.wait(events, 2, 10ms) == 1);
    REQUIRE(limits.size() == 2);
    CHECK(limits[0] == 10'000'000);
    CHECK(limits[1] < 10'000'000);
}

TEST_CASE("several threads submit and several take: each event comes once, to one thread") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    constexpr std::size_t submitters = 3, takers = 3, each = 4000, width = 8;
    struct job {
        kaio::iocb block;
        char byte;
        std::atomic<int> times = 0;
    };
    std::deque<job> jobs(submitters * each);
    kaio::shared_context context(64, {.events = how});
    std::atomic<std::size_t> done = 0, wrong = 0;
    auto const took = [&](std::span<const kaio::io_event> events) {
        for (const kaio::io_event& event : events) {
            job& ended = *reinterpret_cast<job*>(event.data);
            if (event.request() != &ended.block || event.res != 1 || ++ended.times != 1 || ended.byte != 0) ++wrong;
            ++done;
        }
    };
    std::vector<std::thread> threads;
    for (std::size_t s = 0; s < submitters; ++s)
        threads.emplace_back([&, s] {
            for (std::size_t i = 0; i < each; i += width) {
                std::array<kaio::iocb*, width> batch;
                for (std::size_t k = 0; k < width; ++k) {
                    job& fresh = jobs[s * each + i + k];
                    fresh.byte = 'x';
                    fresh.block = read_of_zeros(context, fresh.byte);
                    fresh.block.aio_data = reinterpret_cast<std::uintptr_t>(&fresh);
                    batch[k] = &fresh.block;
                }
                for (std::span<kaio::iocb*> rest = batch; !rest.empty();) {
                    auto const answer = context.submit(rest);
                    rest = rest.subspan(answer.accepted());
                    if (!answer && !answer.ring_full()) ++wrong;
                    if (!answer) std::this_thread::yield();
                }
            }
        });
    for (std::size_t t = 0; t < takers; ++t)
        threads.emplace_back([&, t] {
            std::array<kaio::io_event, 5> events;
            while (!context.stopped()) took(std::span(events).first(*context.wait(events, t == 0 ? 3 : 1)));
        });
    threads.emplace_back([&] {
        std::array<kaio::io_event, 3> events;
        while (!context.stopped()) {
            took(std::span(events).first(context.reap(events)));
            std::this_thread::yield();
        }
    });
    // A thread that waits for 3 may have the last ones.
    for (int patience = 30'000; patience != 0 && (done + 2 < jobs.size() || context.in_flight() != 0); --patience)
        std::this_thread::sleep_for(1ms);
    CHECK(context.stop());
    for (std::thread& thread : threads) thread.join();
    CHECK(done == jobs.size());
    CHECK(wrong == 0);
    CHECK(context.in_flight() == 0);
    CHECK(context.uses_ring() == (how == kaio::reaping::ring));
}

TEST_CASE("events that another thread takes meanwhile are not waited for twice") {
    kaio::shared_context context(8);
    event_counter counter;
    kaio::iocb poll = kaio::poll(counter.fd, POLLIN);
    REQUIRE(submit(context, poll));
    std::atomic<unsigned> taken = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] {
            kaio::io_event event;
            taken += context.wait({&event, 1}, 1).value("wait");
        });
    std::this_thread::sleep_for(10ms);
    counter.signal();
    while (taken == 0) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(5ms);
    CHECK(taken == 1);
    CHECK(context.stop());
    for (std::thread& thread : threads) thread.join();
    CHECK(taken == 1);
}

TEST_CASE("a signal ends a wait with EINTR") {
    struct sigaction action{}, old;
    action.sa_handler = on_alarm;
    ::sigaction(SIGALRM, &action, &old);
    itimerval const every{{0, 10'000}, {0, 10'000}}, never{};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    kaio::shared_context context(2);
    kaio::io_event event;
    CHECK(context.wait({&event, 1}).error() == std::errc::interrupted);
    sigset_t mask;
    ::sigfillset(&mask);
    auto const masked = context.wait({&event, 1}, 1, 30ms, &mask);
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &old, nullptr);
    CHECK((masked ? *masked == 0 : masked.error() == std::errc::function_not_supported));
}

TEST_CASE("errors of io_getevents are those of wait, and reap has none") {
    test::script script;
    script.getevents[1] = -EFAULT;
    script.getevents[2] = -EFAULT;
    scripted_context context(4, {.events = kaio::reaping::syscall}, test::scripted_kernel(script));
    char byte;
    kaio::iocb block = read_of_zeros(context, byte);
    REQUIRE(submit(context, block));
    std::array<kaio::io_event, 4> events;
    CHECK(context.wait(events).error() == std::errc::bad_address);
    CHECK(context.reap(events) == 0);
    CHECK(context.in_flight() == 1);
    CHECK(context.reap(events) == 1);
}

TEST_CASE("a stop for which the kernel has no room fails, and the next event ends the sleep of all") {
    struct full_kernel : kaio::linux_kernel { // several threads may call it, unlike a scripted one
        std::atomic<int>* calls;
        long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
            return ++*calls == 2 ? -EAGAIN : kaio::linux_kernel::io_submit(id, count, batch);
        }
    };
    std::atomic<int> calls = 0;
    kaio::basic_shared_context<full_kernel> context(8, {}, full_kernel{{}, &calls});
    event_counter counter;
    kaio::iocb poll = kaio::poll(counter.fd, POLLIN);
    REQUIRE(submit(context, poll));
    std::atomic<unsigned> taken = 0;
    std::vector<std::thread> sleepers;
    for (int i = 0; i < 3; ++i)
        sleepers.emplace_back([&] {
            kaio::io_event event;
            while (!context.stopped()) taken += context.wait({&event, 1}).value("wait");
        });
    std::this_thread::sleep_for(20ms);
    CHECK(context.stop().error().value() == EAGAIN);
    counter.signal();
    for (std::thread& sleeper : sleepers) sleeper.join();
    CHECK(taken == 1);
    CHECK(context.in_flight() == 0);
}

TEST_CASE("a ring that makes no sense is not trusted, and io_getevents goes on") {
    struct found_ring : test::scripted_kernel {
        kaio::aio_context_id* found;
        int io_setup(unsigned events, kaio::aio_context_id* id) const noexcept {
            int const result = test::scripted_kernel::io_setup(events, id);
            *found = *id;
            return result;
        }
    };
    test::script script;
    kaio::aio_context_id id = 0;
    kaio::basic_shared_context<found_ring> context(4, {.events = kaio::reaping::ring},
                                                   found_ring{test::scripted_kernel(script), &id});
    if (!context.uses_ring()) SKIP_TEST("there is no trusted ring here");
    auto* const ring = reinterpret_cast<kaio::aio_ring*>(id);
    auto const tail = ring->tail;
    ring->tail = (tail + 1) % ring->nr; // the kernel would not do that
    kaio::io_event event;
    script.getevents[1] = 0;
    CHECK(context.reap({&event, 1}) == 0);
    CHECK(!context.uses_ring());
    CHECK(script.waits == 1);
}

TEST_CASE("errors of making one, and without memory or descriptors") {
    CHECK(kaio::shared_context::try_make(0).error() == std::errc::invalid_argument);
    CHECK_THROWS_WITH(kaio::shared_context(0), test::ContainsSubstring("1 or more"));
    test::script script;
    script.waker[1] = script.waker[2] = -EMFILE;
    CHECK(scripted_context::try_make(4, {}, test::scripted_kernel(script)).error().value() == EMFILE);
    CHECK(script.destroys == 1);
    CHECK_THROWS_WITH(scripted_context(4, {}, test::scripted_kernel(script)), test::ContainsSubstring("RLIMIT_NOFILE"));
}

TEST_CASE("it can be moved, and what was moved from is not usable") {
    kaio::shared_context context(4);
    event_counter counter;
    kaio::iocb poll = kaio::poll(counter.fd, POLLIN);
    REQUIRE(submit(context, poll));
    kaio::shared_context moved(std::move(context));
    kaio::io_event event;
    CHECK(!context.usable());
    CHECK(!submit(context, poll));
    CHECK(context.wait({&event, 1}).error() == std::errc::invalid_argument);
    CHECK(context.stop().error() == std::errc::invalid_argument);
    CHECK(moved.in_flight() == 1);
    CHECK(moved.cancel(poll));
    REQUIRE(*moved.wait({&event, 1}) == 1);
    CHECK(event.request() == &poll);
    bool woken = false;
    std::thread sleeper([&] { woken = moved.wait({&event, 1}).has_value(); });
    std::this_thread::sleep_for(5ms);
    CHECK(moved.stop());
    sleeper.join();
    CHECK(woken);
}

TEST_CASE("destroying it closes its descriptor") {
    int const free_one = ::dup(0);
    ::close(free_one);
    {
        kaio::shared_context const context(4);
    }
    int const next = ::dup(0);
    ::close(next);
    CHECK(next == free_one);
}

TEST_CASE("destroying it waits for what is in flight") {
    test::temporary_file file(1 << 20);
    std::vector<char> buffer(1 << 20);
    event_counter never;
    kaio::iocb blocks[] = {kaio::read(file.fd(), buffer, 0), kaio::poll(never.fd, POLLIN)};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
    {
        kaio::shared_context context(4);
        REQUIRE(context.submit(batch));
    }
    CHECK(static_cast<unsigned char>(buffer.back()) == test::temporary_file::content(buffer.size() - 1));
}

TEST_CASE("end() wakes the threads that sleep with EINVAL, and nothing is usable afterwards") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    kaio::shared_context context(8, {.events = how});
    event_counter never;
    kaio::iocb poll = kaio::poll(never.fd, POLLIN);
    REQUIRE(submit(context, poll));
    std::atomic<int> awake = 0, wrong = 0, ended = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (;;) {
                kaio::io_event event;
                auto const taken = context.wait({&event, 1}); // at most the poll, which is cancelled
                if (taken) continue;
                if (taken.error_number() != EINVAL) ++wrong;
                break;
            }
            ++awake;
        });
    threads.emplace_back([&] { // never sleeps
        kaio::io_event event;
        while (context.usable()) context.reap({&event, 1});
    });
    std::this_thread::sleep_for(5ms);
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { ended += context.end().has_value(); });
    for (std::thread& thread : threads) thread.join();
    CHECK(awake == 4);
    CHECK(wrong == 0);
    CHECK(ended == 1); // by one thread
    CHECK(!context.usable());
    CHECK(context.end().error_number() == EINVAL);
    CHECK(context.stop().error_number() == EINVAL);
    CHECK(context.cancel(poll).error_number() == EINVAL);
    CHECK(context.submit({}).error_number() == EINVAL);
    CHECK(context.submit_prefix({}).error_number() == EINVAL);
}

TEST_CASE("what was ended is destroyed once, and its mark is freed") {
    test::script script;
    {
        scripted_context context(4, {}, test::scripted_kernel(script));
        CHECK(context.end());
        CHECK(script.destroys == 1);
        CHECK(script.marks == 1); // threads may still ask
    }
    CHECK(script.destroys == 1);
    CHECK(script.marks == 0);
}

TEST_CASE("a child of fork can't use it, and may destroy it") {
    int const status = test::in_child([] {
        // In a process of its own, because threads of this one may hold what a child would need.
        auto* const context = new kaio::shared_context(4);
        std::thread sleeper([&] {
            kaio::io_event event;
            (void)context->wait({&event, 1});
        });
        std::this_thread::sleep_for(5ms);
        int const inner = test::in_child([&] {
            kaio::io_event event;
            char byte;
            kaio::iocb block = read_of_zeros(*context, byte);
            bool const refused = !context->usable() && !submit(*context, block) && !context->wait({&event, 1}) &&
                                 context->reap({&event, 1}) == 0 && !context->stop() && !context->cancel(block);
            delete context;
            return refused ? 0 : 1;
        });
        char byte;
        kaio::iocb block = read_of_zeros(*context, byte);
        bool const works = submit(*context, block); // the parent's is as it was
        sleeper.join();
        delete context;
        return inner == 0 && works ? 0 : 2;
    });
    CHECK(status == 0);
}
