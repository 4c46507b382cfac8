// What a process does while requests are in flight: signals, fork, exec, and threads and loops that come and go.
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/loop_device.hpp"
#include "support/temporary_file.hpp"
#include "support/traffic.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <kaio/kaio.hpp>

namespace {

std::atomic<int> alarms; // a thread may get one before it blocks them
void count_alarm(int) { alarms.fetch_add(1, std::memory_order_relaxed); }

// SIGALRM 1000 times a second.
class alarm_clock {
public:
    explicit alarm_clock(int flags) {
        struct sigaction action{};
        action.sa_handler = count_alarm;
        action.sa_flags = flags;
        ::sigaction(SIGALRM, &action, &old_);
        itimerval const every{{0, 1000}, {0, 1000}};
        ::setitimer(ITIMER_REAL, &every, nullptr);
    }
    ~alarm_clock() {
        itimerval const never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &old_, nullptr);
    }

private:
    struct sigaction old_;
};

// Linux that counts interrupted waits.
struct counting_kernel : kaio::linux_kernel {
    static inline unsigned interrupted;
    static long io_getevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                             const kaio::kernel_timespec* timeout) noexcept {
        long const result = linux_kernel::io_getevents(id, min, max, events, timeout);
        interrupted += result == -EINTR;
        return result;
    }
};

// A device on which requests stay in flight. Without root it is a file in memory, on which they do not.
struct asynchronous_file {
    test::loop_device device{test::traffic_size};
    test::temporary_file memory;
    kaio::file const file = kaio::file::open(device ? device.path() : memory.path(), O_RDWR | (device ? O_DIRECT : 0));

    asynchronous_file() {
        if (!device) REQUIRE(::ftruncate(memory.fd(), test::traffic_size) == 0);
    }
};

struct usage {
    long resident_kib = 0;
    long descriptors = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    int contexts = 0;

    usage() {
        long pages = 0;
        std::ifstream("/proc/self/statm") >> pages >> resident_kib;
        resident_kib *= ::sysconf(_SC_PAGESIZE) / 1024;
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);) contexts += line.find("[aio]") != line.npos;
    }
};

#if defined(KAIO_ASAN) || defined(KAIO_TSAN)
constexpr bool own_memory = false; // the sanitizer keeps freed memory and its own records
#else
constexpr bool own_memory = true;
#endif

} // namespace

TEST_CASE("under signals at 1 kHz every byte is right, with SA_RESTART and without") {
    int const flags = GENERATE(0, SA_RESTART);
    auto const how = GENERATE(kaio::reaping::automatic, kaio::reaping::syscall);
    asynchronous_file a;
    test::traffic<counting_kernel> t(a.file, 3, {.spin_limit = kaio::duration::zero(), .setup = {.events = how}});
    alarms = 0;
    counting_kernel::interrupted = 0;
    {
        alarm_clock const clock(flags);
        for (int rounds = 0; alarms < 300 || rounds < 3; ++rounds) t.run(1000);
        // Reads alone seldom sleep for a millisecond. Only signals and its limit can end this wait.
        int const fd = ::eventfd(0, EFD_CLOEXEC);
        int mask = 0;
        t.loop().submit(kaio::poll(fd, POLLIN), [&](kaio::io_result r) { mask = r.poll_events(); });
        CHECK(t.loop().run_for(std::chrono::milliseconds(50)) == 0);
        CHECK(t.loop().in_flight() == 1);
        ::eventfd_write(fd, 1);
        CHECK(t.loop().run() == 1);
        CHECK(mask == POLLIN);
        ::close(fd);
    }
    CHECK(t.completed() % 1000 == 0);
    CHECK(counting_kernel::interrupted >= 3);
    t.check_all();
    CHECK(t.wrong() == 0);
}

TEST_CASE("under signals at 1 kHz each timer and each post is called once, asleep or awake") {
    int const flags = GENERATE(0, SA_RESTART);
    constexpr int count = 2000;
    kaio::basic_loop<counting_kernel> loop(4, {.spin_limit = kaio::duration::zero()});
    int posted = 0, expired = 0;
    std::atomic<bool> done = false;
    loop.hold();
    counting_kernel::interrupted = 0;
    alarm_clock const clock(flags);
    std::thread poster([&] {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, nullptr); // the loop gets the signals
        for (int i = 0; i < count; ++i) {
            if (!loop.try_post([&] { ++posted; })) return;
            if (i % 100 == 0) ::usleep(5000); // the loop falls asleep
        }
        done = true;
        loop.post([&] { loop.release(); });
    });
    for (int i = 0; i < 100; ++i)
        loop.submit(kaio::after(std::chrono::milliseconds(i)), [&](kaio::io_result) { ++expired; });
    loop.run();
    poster.join();
    CHECK(done);
    CHECK(posted == count);
    CHECK(expired == 100);
    CHECK(counting_kernel::interrupted >= 3);
}

TEST_CASE("fork, and fork with exec, do not affect requests in flight") {
    bool const exec = GENERATE(false, true);
    asynchronous_file a;
    test::traffic t(a.file, 5);
    int children = 0, bad = 0;
    t.each = [&] {
        if (t.completed() % 50 != 0) return;
        ++children;
        bad +=
            test::in_child([&] {
                if (exec) {
                    ::execlp("true", "true", nullptr);
                    return 9;
                }
                if (t.loop().try_poll() || t.loop().try_run()) return 1;
                kaio::loop own(4);
                std::byte byte;
                bool done = false;
                kaio::file const zero = kaio::file::open("/dev/zero", O_RDONLY);
                own.submit(kaio::read(zero, std::span(&byte, 1), 0), [&](kaio::io_result r) { done = r.bytes() == 1; });
                own.run();
                return done ? 0 : 2;
            }) != 0;
    };
    t.run(2000);
    t.check_all();
    CHECK(t.completed() == 2000);
    CHECK(t.wrong() == 0);
    CHECK(children == 40);
    CHECK(bad == 0);
}

TEST_CASE("exec with requests in flight runs the other program") {
    asynchronous_file a;
    CHECK(test::in_child([&] {
              test::traffic t(a.file, 6);
              t.each = [] { ::execlp("true", "true", nullptr); };
              t.run(1000);
              return 1;
          }) == 0);
}

TEST_CASE("two thousand threads with a loop each leave memory, descriptors and contexts as before") {
    constexpr int at_once = 32;
    test::temporary_file file(4096);
    std::atomic<int> good = 0;
    auto const some = [&](int rounds) {
        for (int round = 0; round < rounds; ++round) {
            std::vector<std::thread> threads;
            for (int i = 0; i < at_once; ++i)
                threads.emplace_back([&, i] {
                    unsigned char buffer[100];
                    kaio::loop loop(
                        8, {.setup = {.events = i % 2 == 0 ? kaio::reaping::automatic : kaio::reaping::syscall}});
                    for (int n = 0; n < 20; ++n)
                        loop.submit(kaio::read(file, buffer, 50), [&](kaio::io_result r) {
                            good += r.bytes() == 100 && buffer[99] == test::temporary_file::content(149);
                        });
                    if (i % 4 != 0)
                        loop.run();
                    else
                        loop.flush(); // 8 are in flight, and the destructor waits for them
                });
            for (auto& thread : threads) thread.join();
        }
    };
    some(16);
    usage const before;
    some(48);
    usage const after;
    CHECK(good == 64 * (at_once * 3 / 4 * 20 + at_once / 4 * 8));
    CHECK(after.descriptors == before.descriptors);
    CHECK(before.contexts == 0);
    CHECK(after.contexts == 0);
    std::printf("%ld KiB resident after 512 threads and loops, %ld after 2048\n", before.resident_kib,
                after.resident_kib);
    if (own_memory) CHECK(after.resident_kib < before.resident_kib + 1024);
}
