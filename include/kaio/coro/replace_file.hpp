// replace_file: new content for a file, all of it or none, whatever happens meanwhile.
//     (co_await kaio::replace_file(loop, "state", bytes)).value("save the state");
// It writes a new file beside the old one, syncs it, renames it to the old one's name, and syncs the directory. At every
// moment the name has the old content or the new one, whole, for other processes and after a kill or power loss. It
// belongs to the loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <kaio/coro/task.hpp>
#include <kaio/coro/write_file.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/offload.hpp>
#include <kaio/loop/transfer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

namespace detail {

// The file that is to replace another. Its functions block, and are for one thread at a time.
class replacement {
public:
    explicit replacement(const char* path) : path_(path), directory_(path_) {
        std::size_t const slash = directory_.rfind('/');
        directory_.resize(slash == std::string::npos ? 0 : slash + 1);
    }
    replacement(const replacement&) = delete;
    replacement& operator=(const replacement&) = delete;

    // Makes the file, with a name that nothing has. Returns an errno, or 0.
    int make(mode_t mode) {
        struct stat old;
        bool const replaces = ::stat(path_.c_str(), &old) == 0;
        for (int tries = 100;; --tries) {
            std::string name = new_name();
            result<file> made = file::try_open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, replaces ? 0600 : mode);
            if (!made && made.error() == std::errc::file_exists && tries != 0) continue;
            if (!made) return made.error().value();
            file_ = std::move(*made);
            name_ = std::move(name);
            break;
        }
        return replaces && ::fchmod(file_.fd(), old.st_mode & 07777) != 0 ? errno : 0;
    }

    const file& content() const noexcept { return file_; }

    // Renames it to the path, for good. Returns an errno, or 0. REQUIRES: its content is synced
    int publish() noexcept {
        if (result<void> const closed = file_.try_close(); !closed) return closed.error().value();
        if (::rename(name_.c_str(), path_.c_str()) != 0) return errno;
        name_.clear();
        int const fd = ::open(directory_.empty() ? "." : directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return errno;
        int const error = ::fsync(fd) != 0 ? errno : 0;
        ::close(fd);
        return error;
    }

    // Removes it, unless it has replaced the other.
    void discard() noexcept {
        if (!name_.empty()) ::unlink(name_.c_str());
        file_ = file();
    }

private:
    std::string new_name() const {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        char name[64]; // the process, what it does now, and when
        std::snprintf(name, sizeof name, ".kaio-%lx-%llx-%lx%08lx", static_cast<unsigned long>(::getpid()),
                      static_cast<unsigned long long>(reinterpret_cast<std::uintptr_t>(this)),
                      static_cast<unsigned long>(now.tv_sec), static_cast<unsigned long>(now.tv_nsec));
        return directory_ + name;
    }

    std::string path_;
    std::string directory_; // with a slash at its end, or empty
    std::string name_{};    // of the new file, while it has that
    file file_{};
};

} // namespace detail

// `mode` counts if there is no such file yet, together with the umask. Else the new file gets the permissions of the old
// one, but not its owner, its other names, or what a symbolic link names: the link itself is replaced. The bytes must
// stay, and not change, until the task has finished. The new file is written through the page cache, so without helpers
// the loop's thread is blocked meanwhile.
//
// After an error nothing has changed, but for one of syncing the directory, which comes last: then the name may have the
// new content. While it works, and after a kill or power loss meanwhile, a file `.kaio-…` is in the directory.
// Errors: those of open (ENOENT: the directory is missing; EACCES: it may not be written to), of write_file (ENOSPC,
// EDQUOT, EFBIG, EIO) and of rename (EISDIR: the name is a directory's; EPERM). Allocates: names and frames. System
// calls beside the requests, on helpers: stat, open, fchmod, ftruncate, close, rename, and open, fsync and close of the
// directory.
template <class Loop>
task<result<void>> replace_file(Loop& io_loop, const char* path, view<const std::byte> content, mode_t mode = 0644) {
    detail::replacement fresh(path);
    int error = co_await io_loop.offload([&fresh, mode] { return fresh.make(mode); });
    if (error == 0) {
        transfer_result const written = co_await write_file(io_loop, fresh.content(), content);
        error = written.error().value();
    }
    if (error == 0) {
        io_result const synced = co_await io_loop.submit(fsync(fresh.content()));
        error = synced.error().value();
    }
    if (error == 0) error = co_await io_loop.offload([&fresh] { return fresh.publish(); });
    if (error == 0) co_return result<void>();
    co_await io_loop.offload([&fresh] { fresh.discard(); });
    co_return failure(error);
}

} // namespace kaio
KAIO_COROUTINES_END
