#include "media.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "glusterfs.hpp"
#include "loop_device.hpp"

namespace bench {
namespace {

[[noreturn]] void fail(const std::string& call) { throw std::system_error(errno, std::system_category(), call); }

// Writes real bytes, because holes are read without the device.
void fill(int fd, std::uint64_t size, const std::string& where) {
    std::vector<unsigned char> bytes(1 << 20);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 + (i >> 12));
    for (std::uint64_t done = 0; done < size;) {
        auto const part = std::min<std::uint64_t>(size - done, bytes.size());
        ssize_t const written = ::write(fd, bytes.data(), part);
        if (written <= 0) {
            if (written == 0) errno = ENOSPC;
            fail("writing " + where + " (a smaller --size, or another --directory, may do)");
        }
        done += static_cast<std::uint64_t>(written);
    }
    if (::fsync(fd) != 0) fail("fsync of " + where);
}

kaio::file open_once(const std::string& path, const medium_options& options, std::string& notice, int extra) {
    int const flags = (options.writes ? O_RDWR : O_RDONLY) | extra;
    if (options.direct) {
        auto direct = kaio::file::try_open(path.c_str(), flags | O_DIRECT);
        if (direct && direct->direct_ignored())
            notice = "O_DIRECT is accepted and ignored here: the file system reports no direct I/O, so requests go "
                     "through the page cache, and this measures copying.";
        if (direct) return std::move(*direct);
        if (direct.error().value() == EBUSY) throw std::system_error(direct.error(), path + " (in use, or mounted)");
        if (direct.error().value() != EINVAL) throw std::system_error(direct.error(), path); // not O_DIRECT's fault
        notice = "No O_DIRECT on this file system: requests go through the page cache, so this measures copying.";
    }
    auto plain = kaio::file::try_open(path.c_str(), flags);
    if (!plain) throw std::system_error(plain.error(), path);
    return std::move(*plain);
}

// Opens the file of `made`, once for each job.
void open_file(medium& made, const std::string& path, const medium_options& options, int extra = 0) {
    made.file = open_once(path, options, made.notice, extra);
    int const flags = ::fcntl(made.file.fd(), F_GETFL) & (O_ACCMODE | O_DIRECT);
    for (unsigned i = 1; i < options.openings; ++i) made.others.push_back(kaio::file::open(path, flags));
}

// Makes a file in the folder, which has no name any more on return.
void make_file(medium& made, const std::string& folder, const medium_options& options) {
    std::string path = folder + "/kaio-bench-XXXXXX";
    int const fd = ::mkstemp(path.data());
    if (fd < 0) fail("no temporary file in " + folder);
    struct closer {
        int fd;
        ~closer() { ::close(fd); }
    } const closing{fd};
    struct remover {
        const std::string& path;
        ~remover() { ::unlink(path.c_str()); }
    };
    {
        remover const removing{path};
        open_file(made, path, options);
    }
    if (options.state == state::filled || options.state == state::cold)
        fill(fd, options.size, "a temporary file in " + folder);
    made.size = options.size; // a file system that forgets files without a name may not know it
}

// Runs a shell command. If it fails, throws what it printed.
void run_command(const std::string& command) {
    std::string text;
    std::FILE* const pipe = ::popen(("PATH=$PATH:/usr/sbin:/sbin; " + command + " 2>&1").c_str(), "r");
    if (!pipe) fail(command);
    for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    if (::pclose(pipe) != 0) throw std::runtime_error(command + ": " + text);
}

medium open_loop_medium(const medium_options& options) {
    medium made{};
    made.keeper = make_loop_device(options.size, [&](int fd) { fill(fd, options.size, "memory for a loop device"); });
    std::string const path = loop_device_path(made.keeper);
    open_file(made, path, options);
    made.description = path + ", a loop device with direct I/O over memory";
    return made;
}

// Mounts the file system in a namespace of this process alone, until the file in it is open. The file then keeps it.
medium open_file_system(const std::string& type, const medium_options& options) {
    constexpr std::uint64_t least = 320u << 20; // mkfs.xfs makes nothing below 300 MB
    medium made{};
    made.keeper = make_loop_device(std::max(options.size + options.size / 4 + (64u << 20), least), [](int) {});
    std::string const device = loop_device_path(made.keeper);
    run_command(fmt::format("mkfs.{} -q {} {}", type, type == "ext4" ? "-F -m 0" : "-f", device));
    static bool const alone = [] {
        if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            fail("a mount namespace, for which / must be a mount point, as it is not in a chroot "
                 "(--medium=loop and --medium=file need none)");
        return true;
    }();
    (void)alone;
    char folder[] = "/tmp/kaio-bench-XXXXXX";
    if (!::mkdtemp(folder)) fail(folder);
    struct unmounter {
        const char* folder;
        ~unmounter() {
            ::umount2(folder, MNT_DETACH);
            ::rmdir(folder);
        }
    } const unmounting{folder};
    if (::mount(device.c_str(), folder, type.c_str(), 0, nullptr) != 0) fail("mounting " + type);
    make_file(made, folder, options);
    made.description = type + " on a loop device with direct I/O over memory";
    return made;
}

medium open_glusterfs(const medium_options& options) {
    glusterfs volume = make_glusterfs(options.size + options.size / 4 + (64u << 20));
    medium made{};
    made.keeper = std::move(volume.keeper);
    make_file(made, volume.folder, options);
    made.description = "GlusterFS, three bricks on this machine, over memory";
    return made;
}

medium open_named(const medium_options& options) {
    const std::string& path = options.filename;
    medium made{};
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) {
        if (errno != ENOENT) fail(path);
        std::size_t const slash = path.rfind('/');
        std::string const folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
        make_file(made, folder, options);
        made.description = path + ", which did not exist, so a temporary file in its place";
        return made;
    }
    bool const device = S_ISBLK(status.st_mode);
    if (!S_ISREG(status.st_mode) && !device) throw std::runtime_error(path + ": neither a file nor a block device");
    if (options.writes && options.overwrite != path)
        throw std::runtime_error(fmt::format(
            "this would overwrite what is in {} ({}); if that is meant, say "
            "--overwrite={}",
            path, device ? std::string("a block device") : fmt::format("a file of {} bytes", status.st_size), path));
    // With O_EXCL the kernel refuses a block device that is mounted.
    open_file(made, path, options, device && options.writes ? O_EXCL : 0);
    made.description = path;
    return made;
}

medium open_unchecked(const medium_options& options) {
    medium made{};
    if (options.kind == "filename") return open_named(options);
    if (options.kind == "glusterfs") return open_glusterfs(options);
    if (options.kind == "loop") return open_loop_medium(options);
    if (options.kind.rfind("loop-", 0) == 0) return open_file_system(options.kind.substr(5), options);
    if (options.kind == "null") {
        made.file = kaio::file::open("/dev/null", O_RDWR);
        for (unsigned i = 1; i < options.openings; ++i) made.others.push_back(kaio::file::open("/dev/null", O_RDWR));
        made.size = options.size;
        made.description = "/dev/null, writes: nothing but the interface itself";
    } else if (options.kind == "tmpfs") {
        make_file(made, "/dev/shm", options);
        made.description = "a temporary file in /dev/shm";
    } else {
        make_file(made, options.directory, options);
        made.description = "a temporary file in " + options.directory;
    }
    return made;
}

} // namespace

const std::vector<medium_kind>& media_kinds() {
    static const std::vector<medium_kind> all{
        {"file", "a temporary file in --directory"},
        {"tmpfs", "a temporary file in /dev/shm"},
        {"null", "/dev/null: writes that cost nothing but the interface itself"},
        {"loop", "a loop device with direct I/O over memory, truly asynchronous anywhere (root)"},
        {"loop-ext4", "a file on ext4 on such a device (root)"},
        {"loop-xfs", "the same on xfs"},
        {"loop-btrfs", "the same on btrfs"},
        {"glusterfs", "a file on GlusterFS, replicated to three bricks on this machine (root)"},
    };
    return all;
}

medium open_medium(const medium_options& options) {
    medium made = open_unchecked(options);
    std::string const name = options.kind == "filename" ? options.filename : options.kind;
    if (made.size == 0) {
        auto const size = made.file.try_size();
        if (!size) throw std::system_error(size.error(), name);
        made.size = *size;
    }
    if (made.size < options.block)
        throw std::runtime_error(
            fmt::format("{}: {} bytes, less than one block of {}", name, made.size, options.block));
    if (made.file.direct() && options.block % made.file.alignment().offset != 0)
        throw std::runtime_error(fmt::format("--bs={}: direct I/O on {} needs a multiple of {}", options.block, name,
                                             made.file.alignment().offset));
    // Without reading ahead, each read of a cold file meets the device.
    if (options.state == state::cold) {
        ::posix_fadvise(made.file.fd(), 0, 0, POSIX_FADV_RANDOM);
        for (const kaio::file& other : made.others) ::posix_fadvise(other.fd(), 0, 0, POSIX_FADV_RANDOM);
    }
    made.description += fmt::format(" ({} MiB, {})", made.size >> 20,
                                    made.file.direct()           ? "O_DIRECT"
                                    : made.file.direct_ignored() ? "O_DIRECT accepted and ignored"
                                                                 : "buffered");
    return made;
}

void restore(int fd, state wanted, std::uint64_t size) {
    if (wanted == state::filled) return;
    if (wanted == state::cold) {
        if (::fdatasync(fd) != 0) fail("fdatasync"); // dirty pages can't be dropped
        ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return;
    }
    if (::ftruncate(fd, 0) != 0) fail("ftruncate");
    if (wanted == state::hole && ::ftruncate(fd, static_cast<off_t>(size)) != 0) fail("ftruncate");
    if (::fsync(fd) != 0) fail("fsync"); // else the journal would work on it later
}

} // namespace bench
