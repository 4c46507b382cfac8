#include "support/catch.hpp"
#include "support/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/io/context.hpp>
#include <kaio/io/request.hpp>

namespace {

struct silent_eventfd {
    int const fd = ::eventfd(0, EFD_CLOEXEC);
    ~silent_eventfd() { ::close(fd); }
};

// From here on the system call `number` fails with `error` in this process.
bool deny(long number, int error) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog const program{sizeof code / sizeof *code, code};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

volatile std::sig_atomic_t delivered;
void count(int) { delivered = delivered + 1; }

} // namespace

TEST_CASE("an error is a negative errno") {
    kaio::aio_context_id id = 0;
    CHECK(kaio::linux_kernel::io_setup(0, &id) == -EINVAL);
    CHECK(kaio::linux_kernel::io_destroy(12345) == -EINVAL);
    kaio::iocb block = kaio::fsync(-1);
    kaio::iocb* batch[] = {&block};
    CHECK(kaio::linux_kernel::io_submit(12345, 1, batch) == -EINVAL);
    REQUIRE(kaio::linux_kernel::io_setup(1, &id) == 0);
    CHECK(kaio::linux_kernel::io_submit(id, 1, batch) == -EBADF);
    kaio::io_event event;
    CHECK(kaio::linux_kernel::io_getevents(id, 2, 1, &event, nullptr) == -EINVAL);
    CHECK(kaio::linux_kernel::io_cancel(id, &block, &event) == -EINVAL);
    CHECK(kaio::linux_kernel::io_destroy(id) == 0);
}

TEST_CASE("memory that is kept from children does not exist in a child") {
    constexpr std::size_t page = 4096;
    void* const memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    auto const is_there = [memory] {
        unsigned char resident;
        return ::mincore(memory, page, &resident) == 0;
    };
    kaio::linux_kernel::keep_from_children(memory, page);
    CHECK(is_there());
    CHECK(test::in_child([&] { return is_there() ? 1 : 0; }) == 0);
    ::munmap(memory, page);
}

TEST_CASE("a timeout is relative, and may be longer than 31 bits of seconds") {
    kaio::aio_context_id id = 0;
    REQUIRE(kaio::linux_kernel::io_setup(1, &id) == 0);
    kaio::io_event event;
    kaio::kernel_timespec const shortly{0, 20'000'000};
    std::int64_t const start = kaio::linux_kernel::now();
    CHECK(kaio::linux_kernel::io_getevents(id, 1, 1, &event, &shortly) == 0);
    CHECK(kaio::linux_kernel::now() - start >= 20'000'000);

    silent_eventfd ready;
    ::eventfd_write(ready.fd, 1);
    kaio::iocb block = kaio::poll(ready.fd, 1);
    kaio::iocb* batch[] = {&block};
    REQUIRE(kaio::linux_kernel::io_submit(id, 1, batch) == 1);
    kaio::kernel_timespec const centuries{std::int64_t{1} << 33, 0};
    CHECK(kaio::linux_kernel::io_getevents(id, 1, 1, &event, &centuries) == 1);
    CHECK(kaio::linux_kernel::io_destroy(id) == 0);
}

TEST_CASE("io_pgetevents waits with another signal mask") {
    struct sigaction action{}, old;
    action.sa_handler = count;
    ::sigaction(SIGUSR1, &action, &old);
    sigset_t blocked, open, before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &blocked, &before);
    open = before;
    ::sigdelset(&open, SIGUSR1);

    kaio::aio_context_id id = 0;
    REQUIRE(kaio::linux_kernel::io_setup(1, &id) == 0);
    kaio::io_event event;
    delivered = 0;
    ::raise(SIGUSR1); // pending: it arrives as soon as the mask allows it
    kaio::kernel_timespec const shortly{0, 10'000'000}, long_enough{10, 0};
    CHECK(kaio::linux_kernel::io_getevents(id, 1, 1, &event, &shortly) == 0);
    CHECK(delivered == 0);
    long const answer = kaio::linux_kernel::io_pgetevents(id, 1, 1, &event, &long_enough, &open);
    CHECK(kaio::linux_kernel::io_destroy(id) == 0);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::sigaction(SIGUSR1, &old, nullptr);
    if (answer == -ENOSYS) SKIP_TEST("this kernel or a seccomp filter has no io_pgetevents");
    CHECK(answer == -EINTR);
    CHECK(delivered == 1);
}

TEST_CASE("if a seccomp filter denies io_pgetevents with EPERM, it returns ENOSYS, and io_getevents works") {
    int const status = test::in_child([] {
        kaio::aio_context_id id = 0;
        if (kaio::linux_kernel::io_setup(1, &id) != 0) return 1;
#if defined(SYS_io_pgetevents_time64)
        if (!deny(SYS_io_pgetevents_time64, EPERM)) return 77;
#else
        if (!deny(SYS_io_pgetevents, EPERM)) return 77;
#endif
        kaio::io_event event;
        kaio::kernel_timespec const zero{};
        sigset_t mask;
        ::sigemptyset(&mask);
        if (kaio::linux_kernel::io_pgetevents(id, 1, 1, &event, &zero, &mask) != -ENOSYS) return 2;
        if (kaio::linux_kernel::io_getevents(id, 1, 1, &event, &zero) != 0) return 3;
        return 0;
    });
    if (status == 77) SKIP_TEST("no seccomp filters here");
    CHECK(status == 0);
}

TEST_CASE("if native AIO itself is denied, the error of a context names the cause and the alternatives") {
    auto const [error, words] = GENERATE(table<int, const char*>({{ENOSYS, "io_uring"}, {EPERM, "seccomp"}}));
    int const status = test::in_child([error = error, words = words] {
        if (!deny(SYS_io_setup, error)) return 77;
        if (kaio::context::try_make(8).error().value() != error) return 1;
        try {
            kaio::context refused(8);
        } catch (const std::system_error& e) {
            std::string const text = e.what();
            bool const clear = text.find("io_setup(8)") != text.npos && text.find(words) != text.npos &&
                               text.find("threads with pread") != text.npos;
            return clear && e.code().value() == error ? 0 : 2;
        }
        return 3;
    });
    if (status == 77) SKIP_TEST("no seccomp filters here");
    CHECK(status == 0);
}
