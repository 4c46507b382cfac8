#include "system_calls.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

// A harmless call, which fails and which no other code makes, marks the begin and the end of the pass.
constexpr long mark = -0x6b61696f;
constexpr int untraceable = 3;

class marks_for_parent final : public meter {
    void begin() override { ::syscall(SYS_getpgid, mark); }
    void end() override { ::syscall(SYS_getpgid, mark); }
};

bool slowed = false;
std::string why_not;

[[noreturn]] void run_traced(const engine& engine, workload work) {
    int status = 1;
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(untraceable);
    ::raise(SIGSTOP);
    try {
        marks_for_parent marks;
        work.measured = &marks;
        engine.run(work);
        status = 0;
    } catch (const std::exception&) {
        // the status reports it
    }
    ::_exit(status);
}

bool is_mark(const __ptrace_syscall_info& info) {
    return info.entry.nr == SYS_getpgid && static_cast<std::int32_t>(info.entry.args[0]) == mark;
}

// Returns the number in this file of tracefs, or 0 if it can't be read.
std::uint64_t read_id() {
    char text[32] = {};
    int const fd = ::open("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t const count = ::read(fd, text, sizeof text - 1);
    ::close(fd);
    return count > 0 ? std::strtoull(text, nullptr, 10) : 0;
}

// Does the same if tracefs is not mounted. A child mounts it in its own mount namespace, which ends with the child.
std::uint64_t read_id_in_namespace() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return 0;
    pid_t const child = ::fork();
    if (child == 0) {
        std::uint64_t id = 0;
        if (::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
            ::mount("tracefs", "/sys/kernel/tracing", "tracefs", MS_RDONLY, nullptr) == 0)
            id = read_id();
        ::_exit(::write(ends[1], &id, sizeof id) == sizeof id ? 0 : 1);
    }
    ::close(ends[1]);
    std::uint64_t id = 0;
    if (::read(ends[0], &id, sizeof id) != sizeof id) id = 0;
    ::close(ends[0]);
    if (child > 0) ::waitpid(child, nullptr, 0);
    return id;
}

// Waits until the threads that glibc keeps for a second are gone. Threads older than the counter are not counted.
void wait_for_idle_threads() {
    for (int tries = 0; tries < 200; ++tries) {
        std::error_code ignored;
        auto const threads = std::filesystem::directory_iterator("/proc/self/task", ignored);
        if (std::distance(begin(threads), end(threads)) <= 1) return;
        ::usleep(10'000);
    }
}

// Counts the entries into the kernel between begin and end, of this thread and of those that it starts meanwhile.
class perf_counter final : public meter {
public:
    perf_counter() {
        static std::uint64_t const id = [] {
            std::uint64_t const there = read_id();
            return there || ::geteuid() != 0 ? there : read_id_in_namespace();
        }();
        if (id == 0) return;
        perf_event_attr event{};
        event.size = sizeof event;
        event.type = PERF_TYPE_TRACEPOINT;
        event.config = id;
        event.disabled = 1;
        event.inherit = 1;
        fd_ = static_cast<int>(::syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
    }
    perf_counter(const perf_counter&) = delete;
    perf_counter& operator=(const perf_counter&) = delete;
    ~perf_counter() override {
        if (fd_ >= 0) ::close(fd_);
    }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    std::uint64_t calls() const noexcept {
        std::uint64_t count = 0;
        if (::read(fd_, &count, sizeof count) != sizeof count || count == 0) return 0;
        return count - 1; // without the call that ends the counting
    }

private:
    void begin() override { ::ioctl(fd_, PERF_EVENT_IOC_ENABLE, 0); }
    void end() override { ::ioctl(fd_, PERF_EVENT_IOC_DISABLE, 0); }

    int fd_ = -1;
};

std::optional<std::uint64_t> count_traced(const engine& engine, const workload& work) {
    pid_t const child = ::fork();
    if (child == 0) run_traced(engine, work);
    if (child < 0) {
        why_not = std::strerror(errno);
        return {};
    }

    std::uint64_t calls = 0;
    int marks = 0, status = 0;
    bool started = false;
    while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        int signal = WSTOPSIG(status);
        if (!started) {
            started = true;
            signal = 0;
            ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
        } else if (signal == (SIGTRAP | 0x80)) {
            signal = 0;
            __ptrace_syscall_info info{};
            if (::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) <= 0) {
                why_not = std::strerror(errno);
                ::kill(child, SIGKILL);
            } else if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
                if (is_mark(info))
                    ++marks;
                else if (marks == 1)
                    ++calls;
            }
        }
        ::ptrace(PTRACE_SYSCALL, child, nullptr, signal);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && marks == 2) return calls;
    if (why_not.empty())
        why_not = WIFEXITED(status) && WEXITSTATUS(status) == untraceable ? "ptrace is not permitted here"
                                                                          : "the traced pass failed";
    return {};
}

} // namespace

std::optional<double> count_system_calls(const engine& engine, job_runner& runner, std::uint64_t requests) {
    unsigned const depth = runner.target().depth;
    if (engine.has_threads) wait_for_idle_threads();
    if (perf_counter counter; counter) {
        // Fewer suffice, but the loop needs some to settle.
        requests = std::max<std::uint64_t>(std::min<std::uint64_t>(requests, 20'000), 4u * depth);
        runner.run(engine, requests, requests, 1, recorded::nothing, nullptr, &counter);
        return static_cast<double>(counter.calls()) / static_cast<double>(requests * runner.target().jobs);
    }
    if (engine.has_threads) return {};
    // A traced call takes many times as long as another.
    requests = std::max<std::uint64_t>(std::min<std::uint64_t>(requests, 4000), 4u * depth);
    runner.restore_file();
    auto const calls = count_traced(engine, runner.work(0, 1, requests, 1));
    if (!calls) return {};
    slowed = true;
    return static_cast<double>(*calls) / static_cast<double>(requests);
}

std::string system_calls_notice() {
    std::string text;
    if (!why_not.empty()) text = "Some system calls are not counted: " + why_not + ".";
    if (slowed)
        text += std::string(text.empty() ? "" : " ") +
                "System calls were counted under ptrace, which slows them: on a device the true counts are higher. As "
                "root they are exact.";
    return text;
}

} // namespace bench
