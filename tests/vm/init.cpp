// The first and only process of a virtual machine of tests/vm/run. It loads the modules, mounts a disk, runs the test
// programs one after another, prints on the console how each ended, and switches the machine off.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr int read_kernel_log = 3; // SYSLOG_ACTION_READ_ALL

[[noreturn]] void power_off() {
    std::fflush(stdout);
    ::sync();
    ::reboot(RB_POWER_OFF);
    std::abort(); // the kernel panics, and panic=-1 ends the machine
}

void require(bool done, const std::string& what) {
    if (done) return;
    std::printf("%s: %s\n", what.c_str(), std::strerror(errno));
    std::string log(1 << 20, '\0');
    log.resize(static_cast<std::size_t>(std::max(0, ::klogctl(read_kernel_log, log.data(), 1 << 20))));
    std::printf("%s\n", log.c_str());
    power_off();
}

void mount(const char* source, const char* folder, const char* type) {
    ::mkdir(folder, 0755);
    require(::mount(source, folder, type, 0, nullptr) == 0, std::string("mounting ") + folder);
}

std::vector<std::string> lines_of(const char* path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

// `line`: the module's path, a space, and its options.
void load(const std::string& line) {
    std::size_t const space = line.find(' ');
    const std::string module = line.substr(0, space), options = line.substr(space + 1);
    int const fd = ::open(module.c_str(), O_RDONLY | O_CLOEXEC);
    require(fd >= 0 && (::syscall(SYS_finit_module, fd, options.c_str(), 0) == 0 || errno == EEXIST),
            "loading " + module);
    ::close(fd);
}

void run(const std::string& program) {
    std::printf("@begin %s\n", program.c_str());
    std::fflush(stdout);
    pid_t const child = ::fork();
    if (child == 0) {
        // Without the tests that take a minute each in an emulator.
        ::execl(program.c_str(), program.c_str(), "~*million*", nullptr);
        std::printf("%s: %s\n", program.c_str(), std::strerror(errno));
        std::fflush(stdout);
        ::_exit(127);
    }
    int status = 0;
    for (pid_t ended = 0; ended != child;) ended = ::waitpid(-1, &status, 0); // this process inherits orphans too
    std::printf("\n@end %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
}

} // namespace

int main() {
    mount("devtmpfs", "/dev", "devtmpfs");
    int const console = ::open("/dev/console", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) ::dup2(console, fd);
    mount("proc", "/proc", "proc");
    mount("sysfs", "/sys", "sysfs");
    mount("tmpfs", "/dev/shm", "tmpfs");
    mount("tmpfs", "/tmp", "tmpfs");
    for (const std::string& line : lines_of("/modules")) load(line);
    mount("/dev/vda", "/disk", "ext4");
    require(::chdir("/disk") == 0, "entering /disk");

    utsname name;
    ::uname(&name);
    std::printf("@kernel %s %s\n", name.release, name.machine);
    for (const std::string& program : lines_of("/programs")) run(program);
    std::printf("@done\n");
    power_off();
}
