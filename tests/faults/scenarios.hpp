// The scenarios in which harness.hpp fails each system call. To add one, write a type here and add it to the list in
// every_call.cpp.
#pragma once

#include "harness.hpp"

#include <array>
#include <memory>
#include <thread>

#include <poll.h>

namespace faults {

struct batch {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 8; ++i) loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
        finish(loop);
    }
};

struct bad_member_at_each_place {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int bad = 0; bad < 6; ++bad) {
            for (int i = 0; i < 6; ++i)
                if (i == bad)
                    loop.submit(kaio::read(-1, machine.buffer, 0), expected.once(EBADF));
                else
                    loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
            finish(loop);
        }
    }
};

struct nothing_but_bad_members {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 12; ++i) loop.submit(kaio::read(-1, machine.buffer, 0), expected.once(EBADF));
        finish(loop);
    }
};

struct more_than_the_capacity {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 30; ++i) loop.submit(kaio::write(machine.file, machine.buffer, 0), expected.once());
        finish(loop);
    }
};

struct owned_operations {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        using operation = kaio::owned_operation<decltype(expected.once())>;
        std::array<std::unique_ptr<operation>, 12> operations;
        for (auto& op : operations) {
            op = std::make_unique<operation>(expected.once());
            loop.submit(kaio::read(machine.file, machine.buffer, 0), *op);
        }
        finish(loop);
    }
};

struct handlers_that_submit {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        struct chain {
            Loop& loop;
            Machine& machine;
            ledger& expected;
            int left;
            void next() {
                if (left-- == 0) return;
                loop.submit(kaio::read(machine.file, machine.buffer, 0),
                            expected.once(0, [this](kaio::io_result) { next(); }));
            }
        } chains[] = {{loop, machine, expected, 6}, {loop, machine, expected, 4}};
        for (auto& each : chains) each.next();
        finish(loop);
    }
};

struct handlers_too_large_for_the_slab {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 10; ++i)
            loop.submit(kaio::read(machine.file, machine.buffer, 0),
                        expected.once(0, [more = std::array<char, 100>()](kaio::io_result) { (void)more; }));
        finish(loop);
    }
};

struct polls {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 10; ++i) {
            loop.submit(kaio::poll(machine.event, POLLIN), expected.once());
            loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
        }
        loop.flush();
        (void)loop.try_poll();
        machine.signal();
        finish(loop);
    }
};

struct one_at_a_time {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 10; ++i) {
            loop.submit(kaio::fdatasync(machine.file), expected.once());
            if (i % 3 == 0) (void)loop.try_run_one();
            if (i % 3 == 1) (void)loop.try_run_for(kaio::duration::from_ns(1'000'000));
            if (i % 3 == 2) (void)loop.try_poll();
        }
        finish(loop);
    }
};

struct timers {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 6; ++i) {
            loop.submit(kaio::after(kaio::duration::from_ns(100'000 * (i % 3))), expected.once());
            loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
        }
        finish(loop);
    }
};

struct posts {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 4; ++i) {
            CHECK(loop.try_post([handler = expected.once()]() mutable { handler(kaio::io_result(0)); }));
            loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once(0, [&](auto) {
                CHECK(loop.try_post([handler = expected.once()]() mutable { handler(kaio::io_result(0)); }));
            }));
        }
        finish(loop);
    }
};

// Not for the simulated machine, which has no threads.
struct posts_from_another_thread {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        constexpr int count = 3;
        int called = 0;
        std::array handlers{expected.once(), expected.once(), expected.once()};
        loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
        loop.hold();
        bool woken = true;
        std::thread other([&] {
            for (auto& handler : handlers)
                woken = !!loop.try_post([&] {
                    handler(kaio::io_result(0));
                    if (++called == count) loop.release();
                });
            // If waking the loop failed, what was posted is not lost. But the loop sleeps until the next post.
            if (!woken) woken = !!loop.try_post([] {});
        });
        finish(loop);
        other.join();
        CHECK(woken);
        CHECK(called == count);
    }
};

// Not for the simulated machine, which has no descriptors.
struct driven_by_a_notifier {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        kaio::notifier notifier(loop);
        int left = 0;
        auto const once = [&](int own = 0) {
            ++left;
            return expected.once(own, [&left](auto) { --left; });
        };
        pollfd heard{notifier.fd(), POLLIN, 0};
        auto const drive = [&] {
            while (left > 0 && ::poll(&heard, 1, 10'000) == 1) (void)notifier.try_poll();
            CHECK(left == 0);
        };
        // If taking this event fails, nothing else makes the descriptor readable again.
        loop.submit(kaio::read(machine.file, machine.buffer, 0), once());
        notifier.update();
        drive();

        for (int i = 0; i < 10; ++i) { // some of them beyond the capacity
            loop.submit(kaio::read(machine.file, machine.buffer, 0), once());
            loop.submit(kaio::read(-1, machine.buffer, 0), once(EBADF));
        }
        loop.submit(kaio::poll(machine.event, POLLIN), once());
        loop.submit(kaio::after(kaio::duration::from_ns(100'000)), once());
        bool const woken = !!loop.try_post([handler = once()]() mutable { handler(kaio::io_result(0)); });
        if (!woken) CHECK(loop.try_post([] {})); // as in posts_from_another_thread
        notifier.update();
        machine.signal();
        drive();
    }
};

struct whole_transfers {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 6; ++i) {
            loop.submit(kaio::fully(kaio::write(machine.file, machine.buffer, 0)), expected.once());
            loop.submit(kaio::fully(kaio::read(machine.file, machine.buffer, 4060)), expected.once()); // to the end
            loop.submit(kaio::fully(kaio::read(-1, machine.buffer, 0)), expected.once(EBADF));
        }
        finish(loop);
    }
};

struct cancels {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        expected.cancels = true;
        using operation = kaio::owned_operation<decltype(expected.once())>;
        std::array<std::unique_ptr<operation>, 12> polls, timers;
        for (std::size_t i = 0; i < polls.size(); ++i) { // some of them beyond the capacity
            polls[i] = std::make_unique<operation>(expected.once());
            timers[i] = std::make_unique<operation>(expected.once());
            loop.submit(kaio::poll(machine.event, POLLIN), *polls[i]);
            loop.submit(kaio::after(kaio::duration()), *timers[i]);
        }
        loop.flush();
        for (std::size_t i = 0; i < polls.size(); ++i) {
            CHECK(loop.cancel(*timers[i]));
            (void)loop.cancel(*polls[i]);
        }
        machine.signal(); // completes the polls that could not be cancelled
        finish(loop);
        CHECK(!loop.cancel(*polls[0]));
    }
};

struct coroutines {
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 10; ++i) kaio::spawn(loop, task(loop, machine, expected));
        finish(loop);
    }
    template <class Loop, class Machine> static kaio::task<> task(Loop& loop, Machine& machine, ledger& expected) {
        auto read = expected.once(), none = expected.once(EBADF), slept = expected.once(), written = expected.once();
        read(co_await loop.submit(kaio::read(machine.file, machine.buffer, 0)));
        none(co_await loop.submit(kaio::read(-1, machine.buffer, 0)));
        slept(co_await loop.sleep_for(kaio::duration::from_ns(10'000)));
        written(co_await loop.submit(kaio::fully(kaio::write(machine.file, machine.buffer, 0))));
    }
};

struct destroyed_with_everything_in_it {
    static constexpr bool leaves = true;
    template <class Loop, class Machine> static void run(Loop& loop, Machine& machine, ledger& expected) {
        for (int i = 0; i < 3; ++i) {
            loop.submit(kaio::poll(machine.event, POLLIN), expected.once());
            loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
            loop.submit(kaio::read(-1, machine.buffer, 0), expected.once(EBADF));
            loop.submit(kaio::after(kaio::duration()), expected.once());
            kaio::spawn(loop, coroutines::task(loop, machine, expected));
            CHECK(loop.try_post([handler = expected.once()]() mutable { handler(kaio::io_result(0)); }));
        }
        loop.flush();
        // These are beyond the capacity, and one of them submits while the loop is destroyed.
        for (int i = 0; i < 4; ++i)
            loop.submit(kaio::read(machine.file, machine.buffer, 0),
                        expected.once(0, [&, again = i == 0](kaio::io_result) mutable {
                            if (std::exchange(again, false))
                                loop.submit(kaio::read(machine.file, machine.buffer, 0), expected.once());
                        }));
    }
};

} // namespace faults
