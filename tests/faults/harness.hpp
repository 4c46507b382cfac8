// Fails the n-th call of one system call, for every n until a scenario no longer reaches the n-th call. It does so with
// every error that the call is documented to return. After each run every request has completed exactly once, no
// handler is alive, and the loop still works. A scenario is a type with
//     template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected);
// It submits with expected.once() as handlers, and either ends with finish(loop) or has `leaves = true`.
#pragma once

#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <deque>
#include <string>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>
#include <kaio/sim/helpers.hpp>
#include <kaio/sim/kernel.hpp>

namespace faults {

enum call : unsigned { io_setup, io_submit, io_getevents, io_cancel };

struct fault {
    call where;
    const char* name;
    long answer; // 0 or less: the call returns this instead of reaching the kernel
    long most;   // answer > 0: the call reaches the kernel with at most this many requests or events
};

inline constexpr fault every_fault[] = {
    {io_setup, "EAGAIN", -EAGAIN, 0},     {io_setup, "EINVAL", -EINVAL, 0},
    {io_setup, "ENOMEM", -ENOMEM, 0},     {io_setup, "ENOSYS", -ENOSYS, 0},
    {io_setup, "EPERM", -EPERM, 0},       {io_submit, "EAGAIN", -EAGAIN, 0},
    {io_submit, "EBADF", -EBADF, 0},      {io_submit, "EFAULT", -EFAULT, 0},
    {io_submit, "EINVAL", -EINVAL, 0},    {io_submit, "EOPNOTSUPP", -EOPNOTSUPP, 0},
    {io_submit, "EPERM", -EPERM, 0},      {io_submit, "ENOMEM", -ENOMEM, 0},
    {io_submit, "1 of a batch", 1, 1},    {io_submit, "2 of a batch", 1, 2},
    {io_submit, "3 of a batch", 1, 3},    {io_submit, "5 of a batch", 1, 5},
    {io_submit, "7 of a batch", 1, 7},    {io_getevents, "EINTR", -EINTR, 0},
    {io_getevents, "EINVAL", -EINVAL, 0}, {io_getevents, "EFAULT", -EFAULT, 0},
    {io_getevents, "ENOSYS", -ENOSYS, 0}, {io_getevents, "no event", 0, 0},
    {io_getevents, "1 event", 1, 1},      {io_cancel, "EINVAL", -EINVAL, 0},
    {io_cancel, "EAGAIN", -EAGAIN, 0},    {io_cancel, "EFAULT", -EFAULT, 0},
};

// One fault at one call. The copies of a kernel share it, and it must outlive them.
struct plan {
    fault what;
    unsigned nth; // counted from 1
    unsigned calls = 0;
    int contexts = 0; // made and not destroyed

    bool due(call where) noexcept { return where == what.where && ++calls == nth; }
    bool happened() const noexcept { return calls >= nth; }
};

template <class Base> class faulty_kernel : public Base {
public:
    faulty_kernel(Base base, faults::plan& plan) noexcept : Base(base), plan_(&plan) {}

    int io_setup(unsigned events, kaio::aio_context_id* id) const noexcept {
        if (plan_->due(faults::io_setup)) return static_cast<int>(plan_->what.answer);
        int const answer = Base::io_setup(events, id);
        if (answer == 0) ++plan_->contexts;
        return answer;
    }
    int io_destroy(kaio::aio_context_id id) const noexcept {
        --plan_->contexts;
        return Base::io_destroy(id);
    }
    long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
        if (plan_->due(faults::io_submit)) {
            if (plan_->what.answer <= 0) return plan_->what.answer;
            if (count > plan_->what.most) count = plan_->what.most;
        }
        return Base::io_submit(id, count, batch);
    }
    long io_getevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                      const kaio::kernel_timespec* timeout) const noexcept {
        if (plan_->due(faults::io_getevents)) {
            if (plan_->what.answer <= 0) return plan_->what.answer;
            if (max > plan_->what.most) max = plan_->what.most;
            if (min > max) min = max;
        }
        return Base::io_getevents(id, min, max, events, timeout);
    }
    int io_cancel(kaio::aio_context_id id, kaio::iocb* block, kaio::io_event* event) const noexcept {
        if (plan_->due(faults::io_cancel)) return static_cast<int>(plan_->what.answer);
        return Base::io_cancel(id, block, event);
    }

private:
    faults::plan* plan_;
};

// The file, event and buffer on which a scenario does I/O.
struct simulated_machine {
    using kernel = kaio::sim::kernel;
    kaio::sim::world world{1};
    kaio::sim::file file = world.open("file");
    kaio::sim::event event = world.make_event();
    std::vector<std::byte> buffer = std::vector<std::byte>(64);

    simulated_machine() { file.resize(4096); }
    kernel base() noexcept { return world; }
    void signal() { event.set(); }
};

// A machine on which every write blocks, and so do other requests by chance. Its loop has helpers.
struct blocking_machine : simulated_machine {
    kaio::sim::helpers team{world, 2};

    blocking_machine() {
        world.options().blocking = 0.3;
        file.options().blocks = kaio::sim::blocking_writes::all;
    }
};

struct real_machine {
    using kernel = kaio::linux_kernel;
    test::temporary_file file{4096};
    struct {
        int number = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        int fd() const noexcept { return number; }
    } event;
    std::vector<std::byte> buffer = std::vector<std::byte>(64);

    ~real_machine() { ::close(event.number); }
    kernel base() noexcept { return {}; }
    void signal() { ::eventfd_write(event.number, 1); }
};

// Handlers that must be called exactly once each.
class ledger {
    struct token { // counts the live handlers
        int* alive;
        explicit token(int& count) noexcept : alive(&count) { ++count; }
        token(const token& other) noexcept : alive(other.alive) { ++*alive; }
        token& operator=(const token&) = delete;
        ~token() { --*alive; }
    };

public:
    explicit ledger(const fault& injected) noexcept : injected_(injected) {}

    // Returns a handler for a request that completes with `own` (an errno, or 0 for success) or with the injected
    // error. The handler calls `then(io_result)` each time; for fully() the argument is a transfer_result.
    template <class Then> auto once(int own, Then then) {
        times_.push_back(0);
        return [this, &times = times_.back(), own, then, alive = token(alive_)](auto r) mutable {
            ++times;
            int const error = r.error().value();
            // EAGAIN from io_submit makes the loop wait. No request completes with it.
            bool const injected = injected_.where == io_submit && injected_.answer < 0 && injected_.answer != -EAGAIN &&
                                  error == -injected_.answer;
            if (error != own && !injected && !(cancels && error == ECANCELED)) ++wrong_;
            then(r);
        };
    }
    auto once(int own = 0) {
        return once(own, [](auto) {});
    }

    bool cancels = false; // true: requests may also complete with ECANCELED

    void check() const {
        for (int const times : times_) CHECK(times == 1);
        CHECK(wrong_ == 0);
        CHECK(alive_ == 0);
    }

private:
    fault injected_;
    std::deque<int> times_;
    int wrong_ = 0, alive_ = 0;
};

// Runs until nothing is left. A wait that fails loses nothing: the next wait goes on.
template <class Loop> void finish(Loop& loop) {
    for (int tries = 0; tries < 2; ++tries)
        if (loop.try_run()) break;
    CHECK(loop.in_flight() + loop.queued() + loop.timers() == 0);
}

template <class Loop, class Machine, class Kernel>
kaio::result<Loop> make_loop(Machine& machine, Kernel kernel, kaio::loop_options options) {
    if constexpr (requires { machine.team; })
        return Loop::try_make(8, machine.team, options, kernel);
    else
        return Loop::try_make(8, options, kernel);
}

// Runs the scenario with one fault. Returns true if the fault happened.
template <class Scenario, class Machine> bool survives(const fault& what, unsigned nth, kaio::reaping events) {
    CAPTURE(nth, what.name, events == kaio::reaping::ring);
    plan plan{what, nth};
    ledger expected(what);
    Machine machine;
    using kernel = faulty_kernel<typename Machine::kernel>;
    using loop_type = kaio::basic_loop<kernel>;
    kaio::loop_options const options{.spin_limit = kaio::duration::zero(), .setup = {.events = events}};
    for (int tries = 0;; ++tries) {
        auto made = make_loop<loop_type>(machine, kernel(machine.base(), plan), options);
        if (!made) {
            CHECK(made.error().value() == -what.answer);
            CHECK(plan.contexts == 0);
            REQUIRE(tries == 0);
            continue;
        }
        loop_type loop(std::move(*made));
        constexpr bool leaves = requires { Scenario::leaves; };
        expected.cancels = leaves;
        Scenario::run(loop, machine, expected);
        if (!leaves) {
            int worked = 0;
            for (int i = 0; i < 2; ++i) {
                loop.submit(kaio::read(machine.file, machine.buffer, 0),
                            expected.once(0, [&](kaio::io_result r) { worked += r.bytes() == 64; }));
                finish(loop);
            }
            CHECK(worked >= 1);
        }
        break;
    }
    expected.check();
    CHECK(plan.contexts == 0);
    return plan.happened();
}

// Calls `survives(fault, n)` with every fault at every call, and returns how many of the faults happened.
template <class Survives> unsigned at_every_call(Survives survives) {
    unsigned happened = 0;
    for (const fault& what : every_fault)
        for (unsigned nth = 1; survives(what, nth); ++nth) {
            REQUIRE(nth < 1000); // else the scenario makes no progress
            ++happened;
        }
    return happened;
}

template <class Scenario, class Machine> unsigned at_every_call(kaio::reaping events) {
    return at_every_call(
        [events](const fault& what, unsigned nth) { return survives<Scenario, Machine>(what, nth, events); });
}

} // namespace faults
