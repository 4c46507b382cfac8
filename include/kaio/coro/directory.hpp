// directory: names of files, changed by the loop's helpers, and made durable.
//     (co_await kaio::rename(loop, "state.new", "state")).value("rename the state");
//     (co_await kaio::sync_directory(loop, ".")).value("make the new name durable");
// Each is awaited once, and goes by loop.offload: in a loop without helpers it blocks the thread. The paths must stay
// until it has come back. Each returns a result<void>, whose value() throws the error. Until sync_directory, power loss
// may undo a change. Allocates: nothing. It belongs to the loop's thread.
// Not in kaio/kaio.hpp, because not every program should have to compile it.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/io/result.hpp>
#include <kaio/loop/offload.hpp>

namespace kaio::inline KAIO_BUILD {

// rename(2): `from` gets the name `to`, and what had that is gone. At every moment `to` names the one or the other.
// Errors: ENOENT (there is no `from`, or a directory on the way to either is missing); EXDEV (the two are on different
// mounts: copy the content instead); EISDIR, ENOTDIR and ENOTEMPTY (one of them is a directory); EACCES and EPERM (a
// directory may not be written to, or is sticky); EBUSY, EINVAL, EIO, ENOSPC, EROFS.
template <class Loop> auto rename(Loop& io_loop, const char* from, const char* to) {
    return io_loop.offload([=]() -> result<void> {
        if (::rename(from, to) != 0) return failure(errno);
        return {};
    });
}

// remove(3): the name of a file, or an empty directory. The file stays as long as a name or a descriptor of it does.
// Errors: ENOENT; ENOTEMPTY (a directory with something in it); EACCES, EPERM, EBUSY, EIO, EROFS.
template <class Loop> auto remove(Loop& io_loop, const char* path) {
    return io_loop.offload([=]() -> result<void> {
        if (::remove(path) != 0) return failure(errno);
        return {};
    });
}

// fsync(2) of a directory: the names in it that were made, changed or removed survive power loss.
// Errors: ENOENT, ENOTDIR (it is no directory); EACCES; EIO; EINVAL (a file system that can't); EMFILE, ENFILE.
template <class Loop> auto sync_directory(Loop& io_loop, const char* path) {
    return io_loop.offload([=]() -> result<void> {
        int const fd = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return failure(errno);
        int const error = ::fsync(fd) != 0 ? errno : 0;
        ::close(fd);
        if (error != 0) return failure(error);
        return {};
    });
}

} // namespace kaio
