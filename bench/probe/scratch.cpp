#include "scratch.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <sys/statvfs.h>

namespace probe {
namespace {

[[noreturn]] void fail(const std::string& context, int error) {
    const char* remedy = "give a directory where files can be made";
    switch (error) {
    case EROFS:
        remedy = "the probe writes a temporary file, so it needs a writable file system: mount -o remount,rw";
        break;
    case EACCES:
    case EPERM:
        remedy = "the probe writes a temporary file: run it as a user who may, or give another directory";
        break;
    case ENOSPC:
    case EDQUOT:
        remedy = "free some space or raise the quota, or give another directory";
        break;
    }
    throw std::runtime_error(fmt::format("{}: {}; {}", context, std::system_category().message(error), remedy));
}

} // namespace

scratch::scratch(const std::string& directory) {
    if (!make_nameless(directory)) make_and_unlink(directory);
}

// Makes the file by O_TMPFILE. Returns false if this file system has none, or does not open a file without a name a
// second time, or if there is no /proc.
bool scratch::make_nameless(const std::string& directory) {
    auto made = kaio::file::try_open(directory.c_str(), O_TMPFILE | O_RDWR | O_EXCL, 0600);
    if (!made) {
        int const error = made.error().value();
        if (error != EOPNOTSUPP && error != EISDIR && error != EINVAL) fail(directory + ": no temporary file", error);
        return false;
    }
    std::string const again = fmt::format("/proc/self/fd/{}", made->fd());
    if (!open_direct(again) && direct_error != EINVAL) return false;
    buffered = std::move(*made);
    return true;
}

// Opens the file twice while it has a name, because file systems such as GlusterFS forget a file with its last name.
// Signals are blocked while it has one.
void scratch::make_and_unlink(const std::string& directory) {
    std::string path = directory + "/kaio-probe-XXXXXX";
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int const fd = ::mkostemp(path.data(), O_CLOEXEC);
    int const error = errno;
    if (fd >= 0) {
        open_direct(path);
        ::unlink(path.c_str());
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (fd < 0) fail(directory + ": no temporary file", error);
    buffered = kaio::file::adopt(fd);
}

bool scratch::open_direct(const std::string& path) {
    auto opened = kaio::file::try_open(path.c_str(), O_RDWR | O_DIRECT);
    direct_error = opened.error().value();
    if (opened) direct = std::move(*opened);
    return direct_error == 0;
}

void scratch::fill(std::uint64_t bytes) const {
    std::vector<unsigned char> some(1 << 20);
    for (std::size_t i = 0; i < some.size(); ++i) some[i] = static_cast<unsigned char>(i * 37 + (i >> 12));
    for (std::uint64_t done = 0; done < bytes;) {
        ssize_t const written = ::pwrite(buffered.fd(), some.data(), std::min<std::uint64_t>(some.size(), bytes - done),
                                         static_cast<off_t>(done));
        if (written <= 0) fail("writing the temporary file", written == 0 ? ENOSPC : errno);
        done += static_cast<std::uint64_t>(written);
    }
    if (::fsync(buffered.fd()) != 0) fail("fsync of the temporary file", errno);
}

void need_room(const std::string& directory, std::uint64_t bytes) {
    struct statvfs room;
    if (::statvfs(directory.c_str(), &room) != 0) fail(directory + ": statvfs", errno);
    std::uint64_t const there = std::uint64_t{room.f_bavail} * room.f_frsize;
    if (room.f_blocks != 0 && there < bytes) // some file systems have no size
        throw std::runtime_error(fmt::format("{}: {} MiB free, and the probe's temporary files need {} MiB; free some "
                                             "space, or give another directory",
                                             directory, there >> 20, bytes >> 20));
}

} // namespace probe
