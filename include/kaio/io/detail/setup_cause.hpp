// Why io_setup fails, in words: the cause and the remedy. It reads /proc for that. No allocation. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>

#include <kaio/io/detail/memory_limit.hpp>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

// What stands in a file under /proc/sys/fs, or "unknown".
struct fs_setting {
    char text[32] = "unknown";

    explicit fs_setting(const char* path) noexcept {
        if (std::FILE* const file = std::fopen(path, "re")) {
            (void)!std::fscanf(file, "%31s", text);
            std::fclose(file);
        }
    }
};

// `error` is the errno of io_setup. `capacity` is in requests, or -1 if nobody knows it.
inline void write_setup_cause(char* text, std::size_t size, int error, long long capacity) noexcept {
    const char* why = "unexpected";
    if (capacity == 0) error = 0;
    switch (error) {
    case 0:
        why = "a capacity of 0 can hold no request; ask for 1 or more";
        break;
    case EAGAIN:
        std::snprintf(
            text, size,
            "more than fs.aio-max-nr allows for the whole system: fs.aio-max-nr = %s, fs.aio-nr (in use) = %s; "
            "raise it (sysctl -w fs.aio-max-nr=1048576), ask for less, or set context_options::at_least",
            fs_setting("/proc/sys/fs/aio-max-nr").text, fs_setting("/proc/sys/fs/aio-nr").text);
        return;
    case EINVAL:
        why = capacity < 0
                  ? "a capacity of 0, for which ask for 1 or more, or more than the kernel can ever give (about 4 "
                    "million), for which ask for less"
                  : "more than the kernel can ever give (about 4 million); ask for less";
        break;
    case ENOMEM: {
        // The ring takes about 64 bytes for each request, and a whole loop about 512.
        auto const requests = static_cast<std::size_t>(capacity);
        memory_limit ring(capacity < 0 ? 0 : requests * 64 + 8192);
        if (!ring && capacity > 0) ring = memory_limit(requests * 512 + 8192);
        std::snprintf(text, size, "no memory for the completion ring or what belongs to it: %s",
                      ring ? ring.text : no_known_limit);
        return;
    }
    case EMFILE:
    case ENFILE:
        why =
            "no descriptor is left for what wakes threads; raise RLIMIT_NOFILE (ulimit -n), or fs.file-max for ENFILE";
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
    std::snprintf(text, size, "%s", why);
}

struct setup_words {
    static constexpr const char* name = "kaio::context";
    static std::string text(int error) {
        char cause[512], text[560];
        write_setup_cause(cause, sizeof cause, error, -1);
        std::snprintf(text, sizeof text, "io_setup: %s", cause);
        return text;
    }
};

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
