#include "surroundings.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace probe {
namespace {

// Returns the first line of a file, or "".
std::string line_of(const std::string& path) {
    std::string line;
    std::ifstream file(path);
    std::getline(file, line);
    return line;
}

// Returns what follows `label` in a file with lines such as "Seccomp:\t2", or "".
std::string field_of(const std::string& path, const std::string& label) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(label)) {
            auto const value = line.find_first_not_of(" \t", label.size());
            return value == std::string::npos ? "" : line.substr(value);
        }
    return "";
}

// Undoes the octal numbers that mountinfo writes for spaces and the like.
std::string unescaped(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\\' && i + 3 < text.size()) {
            plain += static_cast<char>(std::strtol(text.substr(i + 1, 3).c_str(), nullptr, 8));
            i += 3;
        } else {
            plain += text[i];
        }
    return plain;
}

// Reads the line of /proc/self/mountinfo for the mount of `fd`, which fdinfo names. The device number is of no use,
// because each subvolume of btrfs has its own.
void find_file_system(int fd, surroundings& found) {
    std::string const id = field_of(fmt::format("/proc/self/fdinfo/{}", fd), "mnt_id:");
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string mount, parent, numbers, root, where, word;
        words >> mount >> parent >> numbers >> root >> where;
        if (mount != id) continue;
        while (words >> word && word != "-") continue;
        words >> found.type >> found.source;
        found.mounted = unescaped(where);
        found.source = unescaped(found.source);
    }
    if (found.type.empty()) found.type = "unknown";
}

std::optional<device> find_device(int fd, const std::string& source) {
    struct stat status;
    dev_t number = 0;
    if (::stat(source.c_str(), &status) == 0 && S_ISBLK(status.st_mode))
        number = status.st_rdev;
    else if (::fstat(fd, &status) == 0)
        number = status.st_dev; // such as /dev/root, which does not exist
    std::string const link = fmt::format("/sys/dev/block/{}:{}", major(number), minor(number));
    char* const real = ::realpath(link.c_str(), nullptr);
    if (!real) return std::nullopt; // no block device: tmpfs, NFS, overlayfs
    std::string path = real;
    std::free(real);
    device found;
    found.name = path.substr(path.rfind('/') + 1);
    if (!line_of(path + "/partition").empty()) path.resize(path.rfind('/')); // the queue is the whole disk's
    std::string const schedulers = line_of(path + "/queue/scheduler");       // such as "[none] mq-deadline"
    auto const from = schedulers.find('['), to = schedulers.find(']');
    found.scheduler = to != std::string::npos ? schedulers.substr(from + 1, to - from - 1) : schedulers;
    found.queue = line_of(path + "/queue/nr_requests");
    found.sector = line_of(path + "/queue/logical_block_size");
    return found;
}

io_uring denied(const char* cause, const std::string& why) { return {false, cause, why}; }

io_uring find_io_uring() {
    alignas(8) unsigned char parameters[120] = {}; // struct io_uring_params
    long const fd = ::syscall(SYS_io_uring_setup, 1, parameters);
    int const error = errno;
    if (fd >= 0) {
        ::close(static_cast<int>(fd));
        return {true, "", ""};
    }
    std::string const sysctl = line_of("/proc/sys/kernel/io_uring_disabled"); // since 6.6
    bool const filtered = field_of("/proc/self/status", "Seccomp:") == "2";
    switch (error) {
    case ENOSYS:
        if (!sysctl.empty())
            return denied("seccomp", "a seccomp filter hides it, for the kernel has it (io_uring_setup: ENOSYS, but "
                                     "kernel.io_uring_disabled exists)");
        return denied("kernel", filtered ? "the kernel has none (5.1 or later with CONFIG_IO_URING), or the seccomp "
                                           "filter of this process hides it (io_uring_setup: ENOSYS)"
                                         : "the kernel has none: it takes 5.1 or later with CONFIG_IO_URING "
                                           "(io_uring_setup: ENOSYS)");
    case EPERM:
        if (sysctl == "2") return denied("sysctl", "kernel.io_uring_disabled = 2 forbids it to every process");
        if (sysctl == "1" && ::geteuid() != 0)
            return denied("sysctl", "kernel.io_uring_disabled = 1 forbids it to processes without CAP_SYS_ADMIN that "
                                    "are not in the group kernel.io_uring_group");
        if (filtered)
            return denied("seccomp", "a seccomp filter forbids it, as the default profiles of Docker and containerd do "
                                     "(io_uring_setup: EPERM)");
        [[fallthrough]];
    case EACCES:
        return denied("other", "a security policy forbids it, such as SELinux (io_uring_setup: EPERM or EACCES)");
    case ENOMEM:
        return denied("other", "no memory for its rings; raise the limit of locked memory (ulimit -l)");
    default:
        return denied("other", "io_uring_setup: " + std::system_category().message(error));
    }
}

} // namespace

std::vector<std::string> known_to_block(const std::string& type) {
    constexpr std::string_view networks[] = {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs"};
    bool const fuse = type.starts_with("fuse"); // its server may ask others
    std::vector<std::string> known;
    if (fuse)
        known.push_back("while an fsync or fdatasync of a file is in flight, the next write to that file waits for it "
                        "inside io_submit, because the kernel holds the file's lock; writes with RWF_DSYNC need none");
    if (fuse || std::ranges::find(networks, type) != std::end(networks))
        known.push_back("while the server does not answer, requests stay in flight, and open, stat and whatever else "
                        "asks it wait, until a time limit of the mount or of its client is over");
    return known;
}

surroundings look_around(const std::string& directory) {
    auto const opened = kaio::file::try_open(directory.c_str(), O_RDONLY | O_DIRECTORY);
    if (!opened) {
        const char* const remedy = opened.error().value() == ENOTDIR
                                       ? "give the directory that it lies in"
                                       : "give a directory that exists and that you may use";
        throw std::runtime_error(fmt::format("{}: {}; {}", directory, opened.error().message(), remedy));
    }
    surroundings found;
    utsname name;
    ::uname(&name);
    found.kernel = name.release;
    found.machine = name.machine;
    found.aio_max_nr = line_of("/proc/sys/fs/aio-max-nr");
    found.aio_nr = line_of("/proc/sys/fs/aio-nr");
    found.io_uring = find_io_uring();
    find_file_system(opened->fd(), found);
    found.device = find_device(opened->fd(), found.source);
    return found;
}

const char* alignment_found_by(const kaio::file& file) {
    return file.support() == kaio::direct_support::reported ? "statx" : "default";
}

} // namespace probe
