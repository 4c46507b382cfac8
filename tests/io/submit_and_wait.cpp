#include "faults/harness.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/scripted_kernel.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/submit_and_wait.hpp>

using namespace std::chrono_literals;

namespace {

using scripted_context = kaio::basic_context<test::scripted_kernel>;

// Reads of 1 byte each, from the offsets 0, 1, 2 and so on. aio_data is the offset + 1000.
struct reads {
    std::vector<unsigned char> bytes;
    std::vector<kaio::iocb> blocks;
    std::vector<kaio::iocb*> batch;
    std::vector<kaio::io_event> events;

    reads(int fd, std::size_t count) : bytes(count), blocks(count), batch(count), events(count) {
        for (std::size_t i = 0; i < count; ++i) {
            blocks[i] = kaio::read(fd, std::span(&bytes[i], 1), i);
            blocks[i].aio_data = 1000 + i;
            batch[i] = &blocks[i];
        }
    }

    void refuse(std::size_t i) { blocks[i].aio_fildes = static_cast<std::uint32_t>(-1); }

    // True if the event number i is that of request number i.
    bool in_place(std::size_t i) const {
        return events[i].request() == &blocks[i] && events[i].data == blocks[i].aio_data;
    }
    bool arrived(std::size_t i) const {
        return in_place(i) && events[i].res == 1 && bytes[i] == test::temporary_file::content(i);
    }
    bool all_arrived() const {
        for (std::size_t i = 0; i < events.size(); ++i)
            if (!arrived(i)) return false;
        return true;
    }
};

struct event_counter {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    ~event_counter() { ::close(fd); }
};

void on_alarm(int) {}

} // namespace

TEST_CASE("a batch is submitted, and each request's event is in its place, with its own data") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(64);
    kaio::context context(32, {.events = how});
    reads some(file.fd(), 32);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    CHECK(some.all_arrived());
    CHECK(context.in_flight() == 0);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events)); // the same blocks again
    CHECK(some.all_arrived());
    CHECK(kaio::submit_and_wait(context, {}, {}));
}

TEST_CASE("events that come one by one, in another order, are put in order, and waited for once") {
    test::script script;
    std::vector<event_counter> counters(5);
    std::thread other;
    script.before_getevents = [&] {
        other = std::thread([&] {
            for (std::size_t const i : {3u, 1u, 4u, 0u, 2u}) {
                std::this_thread::sleep_for(2ms);
                ::eventfd_write(counters[i].fd, 1);
            }
        });
    };
    scripted_context context(8, {}, test::scripted_kernel(script));
    std::array<kaio::iocb, 5> blocks;
    std::array<kaio::iocb*, 5> batch;
    std::array<kaio::io_event, 7> events{}; // more room than is needed
    for (std::size_t i = 0; i < 5; ++i) {
        blocks[i] = kaio::poll(counters[i].fd, POLLIN);
        blocks[i].aio_data = i;
        batch[i] = &blocks[i];
    }
    CHECK(kaio::submit_and_wait(context, batch, events));
    other.join();
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(events[i].request() == &blocks[i]);
        CHECK(events[i].data == i);
        CHECK(events[i].result().poll_events() == POLLIN);
    }
    CHECK(script.submits == 1); // it slept, and that is two system calls
    CHECK(script.waits == 1);
}

TEST_CASE("a batch whose events are all in the ring takes one system call") {
    test::script script;
    test::temporary_file file(64);
    scripted_context context(32, {.events = kaio::reaping::ring}, test::scripted_kernel(script));
    if (!context.uses_ring()) SKIP_TEST("there is no trusted ring here");
    reads some(file.fd(), 32); // buffered reads complete in io_submit
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    CHECK(some.all_arrived());
    CHECK(script.submits == 1);
    CHECK(script.waits == 0);
}

TEST_CASE("requests that are refused have their error, wherever they are, and the others complete") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    auto const refused = GENERATE(as<std::vector<std::size_t>>(), std::vector<std::size_t>{0},
                                  std::vector<std::size_t>{3}, std::vector<std::size_t>{5},
                                  std::vector<std::size_t>{1, 2, 4}, std::vector<std::size_t>{0, 1, 2, 3, 4, 5});
    test::temporary_file file(64);
    kaio::context context(8, {.events = how});
    reads some(file.fd(), 6);
    for (std::size_t const i : refused) some.refuse(i);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    for (std::size_t i = 0; i < 6; ++i)
        if (std::ranges::find(refused, i) == refused.end()) {
            CHECK(some.arrived(i));
        } else {
            CHECK(some.in_place(i));
            CHECK(some.events[i].result().error() == std::errc::bad_file_descriptor);
        }
    CHECK(context.in_flight() == 0);
}

TEST_CASE("a batch that the kernel takes in parts is submitted whole") {
    test::script script;
    script.most_at_once = GENERATE(1, 2, 5);
    test::temporary_file file(64);
    scripted_context context(16, {}, test::scripted_kernel(script));
    reads some(file.fd(), 16);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    CHECK(some.all_arrived());
    CHECK(script.submits == static_cast<unsigned>((16 + script.most_at_once - 1) / script.most_at_once));
}

TEST_CASE("a batch that is larger than the capacity is submitted as there is room") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    test::temporary_file file(5000);
    kaio::context context(GENERATE(1u, 7u, 32u), {.events = how});
    reads some(file.fd(), 5000);
    some.refuse(77);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    for (std::size_t i = 0; i < 5000; ++i)
        if (!(i == 77 ? some.in_place(i) && some.events[i].res == -EBADF : some.arrived(i))) FAIL("request " << i);
}

TEST_CASE("no more requests than the capacity are in flight") {
    test::script script;
    event_counter counter;
    scripted_context context(4, {}, test::scripted_kernel(script));
    unsigned most = 0;
    script.before_getevents = [&] {
        most = std::max(most, context.in_flight());
        ::eventfd_write(counter.fd, 1);
    };
    std::array<kaio::iocb, 10> blocks;
    std::array<kaio::iocb*, 10> batch;
    std::array<kaio::io_event, 10> events;
    for (std::size_t i = 0; i < 10; ++i) batch[i] = &(blocks[i] = kaio::poll(counter.fd, POLLIN));
    REQUIRE(kaio::submit_and_wait(context, batch, events));
    CHECK(most == 4);
}

TEST_CASE("if the kernel has no room, the rest is submitted when something has completed") {
    test::script script;
    script.most_at_once = 2;
    script.submit[2] = script.submit[4] = -EAGAIN;
    test::temporary_file file(64);
    scripted_context context(8, {}, test::scripted_kernel(script));
    reads some(file.fd(), 6);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    CHECK(some.all_arrived());
    CHECK(script.submits == 5);
}

TEST_CASE("a request for which there is no room although none is in flight has EAGAIN") {
    test::script script;
    script.submit[1] = -EAGAIN;
    test::temporary_file file(64);
    scripted_context context(8, {}, test::scripted_kernel(script));
    reads some(file.fd(), 3);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    CHECK(some.in_place(0));
    CHECK(some.events[0].result().would_block());
    CHECK(some.arrived(1));
    CHECK(some.arrived(2));
}

TEST_CASE("signals do not end the wait") {
    struct sigaction action{}, old;
    action.sa_handler = on_alarm;
    ::sigaction(SIGALRM, &action, &old);
    itimerval const every{{0, 5'000}, {0, 5'000}}, never{};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    event_counter counter;
    kaio::context context(1);
    kaio::iocb block = kaio::poll(counter.fd, POLLIN);
    kaio::iocb* batch[] = {&block};
    kaio::io_event event;
    std::thread other([&] {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        std::this_thread::sleep_for(50ms);
        ::eventfd_write(counter.fd, 1);
    });
    bool const done = kaio::submit_and_wait(context, batch, {&event, 1}).has_value();
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &old, nullptr);
    other.join();
    CHECK(done);
    CHECK(event.result().poll_events() == POLLIN);
}

TEST_CASE("the sleep for the last of several events is looked after each second") {
    // An io_getevents that comes back without events, as its time limit makes it, is called again.
    test::script script;
    script.getevents[1] = 0;
    scripted_context context(4, {.events = kaio::reaping::syscall}, test::scripted_kernel(script));
    test::temporary_file file(64);
    reads some(file.fd(), 4);
    REQUIRE(kaio::submit_and_wait(context, some.batch, some.events));
    CHECK(some.all_arrived());
    CHECK(script.waits == 2);
}

TEST_CASE("nothing is submitted if the events have no room, others are in flight, or the context is not usable") {
    test::script script;
    test::temporary_file file(64);
    event_counter counter;
    scripted_context context(8, {}, test::scripted_kernel(script));
    reads some(file.fd(), 3);
    CHECK(kaio::submit_and_wait(context, some.batch, std::span(some.events).first(2)).error().value() == EINVAL);
    CHECK(script.submits == 0);

    kaio::iocb other = kaio::poll(counter.fd, POLLIN);
    kaio::iocb* batch[] = {&other};
    REQUIRE(context.submit(batch));
    CHECK(kaio::submit_and_wait(context, some.batch, some.events).error().value() == EBUSY);
    CHECK(context.in_flight() == 1);
    CHECK(script.submits == 1);
    ::eventfd_write(counter.fd, 1);
    REQUIRE(context.wait(some.events));
    CHECK(kaio::submit_and_wait(context, some.batch, some.events));

    CHECK(test::in_child([&] {
              return kaio::submit_and_wait(context, some.batch, some.events).error().value() == EINVAL ? 0 : 1;
          }) == 0);
    scripted_context const moved(std::move(context));
    CHECK(kaio::submit_and_wait(context, some.batch, some.events).error().value() == EINVAL);
    CHECK(script.submits == 2);
}

TEST_CASE("if it can't wait, the context is destroyed, so that the kernel is done with the buffers") {
    test::script script;
    script.getevents[1] = -EPERM;
    event_counter counter;
    scripted_context context(8, {}, test::scripted_kernel(script));
    kaio::iocb block = kaio::poll(counter.fd, POLLIN);
    kaio::iocb* batch[] = {&block};
    kaio::io_event event;
    CHECK(kaio::submit_and_wait(context, batch, {&event, 1}).error() == std::errc::operation_not_permitted);
    CHECK(script.destroys == 1);
    CHECK(!context.usable());
    CHECK(kaio::submit_and_wait(context, batch, {&event, 1}).error() == std::errc::invalid_argument);
}

TEST_CASE("requests that own their buffers") {
    test::temporary_file file(4096);
    kaio::context context(2);
    auto first = kaio::read(file.fd(), kaio::aligned_buffer(2048), 0);
    auto second = kaio::read(file.fd(), std::vector<unsigned char>(2048), 2048);
    kaio::iocb blocks[] = {first, second};
    kaio::iocb* batch[] = {&blocks[0], &blocks[1]};
    kaio::io_event events[2];
    REQUIRE(kaio::submit_and_wait(context, batch, events));
    CHECK(events[0].result().bytes() == 2048);
    CHECK(events[1].result().bytes() == 2048);
    CHECK(static_cast<unsigned char>(first.buffer().data()[77]) == test::temporary_file::content(77));
    CHECK(second.buffer()[77] == test::temporary_file::content(2048 + 77));
}

namespace {

// Runs a batch with one fault. Returns true if the fault happened.
template <class Machine> bool survives(const faults::fault& what, unsigned nth, kaio::reaping how) {
    CAPTURE(nth, what.name, how == kaio::reaping::ring);
    faults::plan plan{what, nth};
    Machine machine;
    using kernel = faults::faulty_kernel<typename Machine::kernel>;
    using context_type = kaio::basic_context<kernel>;
    {
        auto made = context_type::try_make(4, {.events = how}, kernel(machine.base(), plan));
        if (!made) return plan.happened();
        std::array<kaio::iocb, 9> blocks;
        std::array<kaio::iocb*, 9> batch;
        for (std::size_t i = 0; i < 9; ++i) {
            blocks[i] = kaio::read(i % 4 == 2 ? -1 : machine.file.fd(), machine.buffer, 0);
            batch[i] = &blocks[i];
        }
        std::array<kaio::io_event, 9> events{};
        auto const answer = kaio::submit_and_wait(*made, batch, events);
        if (!answer) {
            CHECK(what.where == faults::io_getevents);
            CHECK(answer.error().value() == -what.answer);
            CHECK(plan.contexts == 0);
        } else {
            int hit = 0;
            for (std::size_t i = 0; i < 9; ++i) {
                CHECK(events[i].request() == &blocks[i]);
                bool const own = events[i].res == (i % 4 == 2 ? -EBADF : 64);
                if (!own) {
                    CHECK(what.where == faults::io_submit);
                    CHECK(events[i].res == what.answer);
                    ++hit;
                }
            }
            CHECK(hit <= 1);
            CHECK(made->in_flight() == 0);
        }
    }
    CHECK(plan.contexts == 0);
    return plan.happened();
}

} // namespace

TEST_CASE("every error of every call, at every call: each request ends once, in its place, and the buffers are free") {
    auto const how = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    CHECK(faults::at_every_call([&](const faults::fault& what, unsigned nth) {
              return survives<faults::simulated_machine>(what, nth, how);
          }) > 50);
    CHECK(faults::at_every_call([&](const faults::fault& what, unsigned nth) {
              return survives<faults::real_machine>(what, nth, how);
          }) > 50);
}
