// The same as every_call.cpp for a program that uses basic_context itself. It submits again what did not fit, treats an
// error as that of the request that it names, and waits again after a wait that failed.
#include "harness.hpp"

#include <span>

#include <poll.h>

namespace {

using namespace faults;

template <class Kernel> class program {
public:
    program(kaio::basic_context<Kernel>& context, const fault& injected) : context_(context), injected_(injected) {}

    // Adds a request that must complete with `bytes`, or with the errno `own` if that is not 0.
    kaio::iocb& add(const kaio::request& request, long bytes, int own = 0) {
        kaio::iocb& block = requests_.emplace_back(entry{request, bytes, own}).block;
        block.aio_data = requests_.size() - 1;
        return block;
    }

    void expect(const kaio::iocb& block, long bytes) { requests_[block.aio_data].bytes = bytes; }

    void submit(std::span<kaio::iocb*> batch) {
        for (int tries = 0; !batch.empty(); ++tries) {
            REQUIRE(tries < 100);
            kaio::submission const answer = context_.submit(batch);
            REQUIRE(answer.accepted() <= batch.size());
            CHECK(bool(answer) == (answer.accepted() == batch.size()));
            batch = batch.subspan(answer.accepted());
            if (answer) continue;
            if (answer.ring_full()) {
                take(1);
            } else {
                finished(batch.front()->aio_data, -answer.error_number());
                batch = batch.subspan(1);
            }
        }
    }

    void take(unsigned min) {
        kaio::io_event events[5]; // less room than there are events
        auto const taken = context_.wait(events, min, kaio::duration::from_ns(1'000'000'000));
        if (!taken) {
            CHECK(taken.error().value() == -injected_.answer);
            return;
        }
        for (const kaio::io_event& event : std::span(events).first(*taken)) {
            CHECK(event.request() == &requests_[event.data].block);
            finished(event.data, event.res);
        }
    }

    void take_all() {
        for (int tries = 0; context_.in_flight() != 0; ++tries) {
            REQUIRE(tries < 100);
            take(1);
        }
        for (const entry& each : requests_) CHECK(each.times == 1);
        CHECK(hit_ <= 1);
    }

private:
    struct entry {
        kaio::iocb block;
        long bytes;
        int own;
        int times = 0;
    };

    void finished(std::uint64_t number, long answer) {
        entry& each = requests_.at(number);
        ++each.times;
        if (answer == (each.own ? -each.own : each.bytes)) return;
        // Only one request gets the injected error: the first of the batch.
        CHECK(injected_.where == io_submit);
        CHECK(answer == injected_.answer);
        ++hit_;
    }

    kaio::basic_context<Kernel>& context_;
    const fault& injected_;
    std::deque<entry> requests_;
    int hit_ = 0;
};

// Runs the program with one fault. Returns true if the fault happened.
template <class Machine> bool survives(const fault& what, unsigned nth, kaio::reaping events) {
    CAPTURE(nth, what.name, events == kaio::reaping::ring);
    plan plan{what, nth};
    Machine machine;
    using kernel = faulty_kernel<typename Machine::kernel>;
    using context_type = kaio::basic_context<kernel>;
    for (bool tried = false;; tried = true) {
        auto made = context_type::try_make(32, {.events = events}, kernel(machine.base(), plan));
        if (!made) {
            CHECK(made.error().value() == -what.answer);
            CHECK(plan.contexts == 0);
            REQUIRE(!tried);
            continue;
        }
        context_type context(std::move(*made));
        program<kernel> program(context, what);
        kaio::iocb& polled = program.add(kaio::poll(machine.event, POLLIN), POLLIN);
        for (std::size_t bad = 0; bad < 6; ++bad) {
            std::vector<kaio::iocb*> batch;
            for (std::size_t i = 0; i < 6; ++i)
                if (i == bad)
                    batch.push_back(&program.add(kaio::read(-1, machine.buffer, 0), 0, EBADF));
                else
                    batch.push_back(&program.add(kaio::read(machine.file, machine.buffer, 0), 64));
            if (bad == 0) batch.push_back(&polled);
            program.submit(batch);
        }
        program.take(3);
        if (context.cancel(polled)) program.expect(polled, 0);
        machine.signal();
        program.take_all();
        CHECK(context.reap(std::span<kaio::io_event>()) == 0);

        // The context is destroyed with a poll in flight.
        kaio::iocb left = kaio::poll(machine.event, POLLIN);
        kaio::iocb* batch[] = {&left};
        (void)context.submit(batch);
        break;
    }
    CHECK(plan.contexts == 0);
    return plan.happened();
}

} // namespace

TEST_CASE("every error of every call, at every call, in a program on the raw layer") {
    auto const events = GENERATE(kaio::reaping::ring, kaio::reaping::syscall);
    CHECK(at_every_call(
              [&](const fault& what, unsigned nth) { return survives<simulated_machine>(what, nth, events); }) > 100);
}

TEST_CASE("every error of every call, at every call, in a program on the raw layer and the real kernel") {
    CHECK(at_every_call([&](const fault& what, unsigned nth) {
              return survives<real_machine>(what, nth, kaio::reaping::syscall);
          }) > 100);
}
