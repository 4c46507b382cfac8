// Why io_setup failed, in words: the call, what was asked, the cause and the remedy. Reads /proc; allocates.
// By <cstdio>, because sums of std::strings would cost everyone who includes this some hundredths more to compile.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstdio>
#include <string>

#include <kaio/io/memory_error.hpp>

namespace kaio::inline KAIO_BUILD {

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

namespace detail {
// `error` is the errno that io_setup gave, `asked` the capacity in requests; -1: nobody knows.
inline void write_setup_cause(char* to, std::size_t size, int error, long long asked) noexcept {
    const char* why = "unexpected";
    if (asked == 0) error = 0;
    switch (error) {
    case 0:
        why = "a capacity of 0 can hold no request; ask for 1 or more";
        break;
    case EAGAIN:
        std::snprintf(
            to, size,
            "more than fs.aio-max-nr allows for the whole system: fs.aio-max-nr = %s, fs.aio-nr (in use) = %s; "
            "raise it (sysctl -w fs.aio-max-nr=1048576), ask for less, or set context_options::at_least",
            fs_setting("/proc/sys/fs/aio-max-nr").text, fs_setting("/proc/sys/fs/aio-nr").text);
        return;
    case EINVAL:
        why = asked < 0
                  ? "a capacity of 0, for which ask for 1 or more, or more than the kernel can ever give (about 4 "
                    "million), for which ask for less"
                  : "more than the kernel can ever give (about 4 million); ask for less";
        break;
    case ENOMEM: {
        // The ring takes some 64 bytes for a request, and all of a loop some 512.
        auto const requests = static_cast<std::size_t>(asked);
        memory_limit ring(asked < 0 ? 0 : requests * 64 + 8192);
        if (!ring && asked > 0) ring = memory_limit(requests * 512 + 8192);
        std::snprintf(to, size, "no memory for the completion ring or what belongs to it: %s",
                      ring ? ring.text : no_known_limit);
        return;
    }
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
    std::snprintf(to, size, "%s", why);
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

// `error` is the errno that io_setup gave, `asked` the capacity in requests.
inline std::string setup_error_text(int error, unsigned asked) {
    char cause[512], text[560];
    detail::write_setup_cause(cause, sizeof cause, error, asked);
    std::snprintf(text, sizeof text, "kaio: io_setup(%u): %s", asked, cause);
    return text;
}

} // namespace kaio
