// Why io_setup failed, in words: the call, what was asked, the cause and the remedy. Reads /proc/sys/fs; allocates.
#pragma once

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

namespace kaio {

namespace detail {
// The number in a file under /proc/sys/fs as it stands there, or "unknown".
inline std::string fs_setting(const char* path) {
    char text[32];
    int const fd = ::open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : ::read(fd, text, sizeof text);
    if (fd >= 0) ::close(fd);
    while (length > 0 && text[length - 1] == '\n') --length;
    return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : "unknown";
}
} // namespace detail

// `error` is the errno that io_setup gave, `asked` the capacity in requests.
inline std::string setup_error_text(int error, unsigned asked) {
    std::string text = "kaio: io_setup(" + std::to_string(asked) + "): ";
    if (asked == 0) return text + "a capacity of 0 can hold no request; ask for 1 or more";
    switch (error) {
    case EAGAIN:
        return text + "more than fs.aio-max-nr allows for the whole system: fs.aio-max-nr = " +
               detail::fs_setting("/proc/sys/fs/aio-max-nr") +
               ", fs.aio-nr (in use) = " + detail::fs_setting("/proc/sys/fs/aio-nr") +
               "; raise it (sysctl -w fs.aio-max-nr=1048576), ask for less, or set context_options::at_least";
    case EINVAL:
        return text + "more than the kernel can ever give (about 4 million); ask for less";
    case ENOMEM:
        return text + "no memory for the completion ring; ask for less, or raise the memory limit";
    case ENOSYS:
        return text +
               "this kernel has no native AIO (built without CONFIG_AIO, or WSL1, gVisor, rr or a seccomp filter "
               "that hides it); use io_uring, POSIX AIO or threads with pread here";
    case EPERM:
    case EACCES:
        return text + "a security policy (seccomp, an LSM) denies native AIO; allow io_setup, io_submit, io_getevents, "
                      "io_cancel and io_destroy, or use threads with pread here";
    default:
        return text + "unexpected";
    }
}

} // namespace kaio
