// Why io_setup failed, in words: the call, what was asked, the cause and the remedy. Reads /proc/sys/fs; allocates.
// By <cstdio>, because sums of std::strings would cost everyone who includes this some hundredths more to compile.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstdio>
#include <string>

namespace kaio {

namespace detail {
// The number in a file under /proc/sys/fs as it stands there, or "unknown".
struct fs_setting {
    char text[32] = "unknown";

    explicit fs_setting(const char* path) noexcept {
        if (std::FILE* const file = std::fopen(path, "re")) {
            (void)!std::fscanf(file, "%31s", text);
            std::fclose(file);
        }
    }
};
} // namespace detail

// `error` is the errno that io_setup gave, `asked` the capacity in requests.
inline std::string setup_error_text(int error, unsigned asked) {
    char text[512], quota[256];
    const char* why = "unexpected";
    if (asked == 0) error = 0;
    switch (error) {
    case 0:
        why = "a capacity of 0 can hold no request; ask for 1 or more";
        break;
    case EAGAIN:
        std::snprintf(
            quota, sizeof quota,
            "more than fs.aio-max-nr allows for the whole system: fs.aio-max-nr = %s, fs.aio-nr (in use) = %s; "
            "raise it (sysctl -w fs.aio-max-nr=1048576), ask for less, or set context_options::at_least",
            detail::fs_setting("/proc/sys/fs/aio-max-nr").text, detail::fs_setting("/proc/sys/fs/aio-nr").text);
        why = quota;
        break;
    case EINVAL:
        why = "more than the kernel can ever give (about 4 million); ask for less";
        break;
    case ENOMEM:
        why = "no memory for the completion ring; ask for less, or raise the memory limit";
        break;
    case ENOSYS:
        why = "this kernel has no native AIO (built without CONFIG_AIO, or WSL1, gVisor, rr or a seccomp filter that "
              "hides it); use io_uring, POSIX AIO or threads with pread here";
        break;
    case EPERM:
    case EACCES:
        why = "a security policy (seccomp, an LSM) denies native AIO; allow io_setup, io_submit, io_getevents, "
              "io_cancel and io_destroy, or use threads with pread here";
        break;
    default:
        break;
    }
    std::snprintf(text, sizeof text, "kaio: io_setup(%u): %s", asked, why);
    return text;
}

} // namespace kaio
