// memory_limit: which limit of this process keeps memory from it, with its figures and the remedy, in words. It looks
// at /proc when it is made, so it is made soon after the failure. Only texts allocate. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/mman.h>

namespace kaio {
inline namespace KAIO_BUILD {
namespace detail {

// The beginning of a file under /proc, and the number of lines in all of it.
struct proc_file {
    char text[4096] = "";
    std::size_t line_count = 0;

    explicit proc_file(const char* path) noexcept {
        std::FILE* const file = std::fopen(path, "re");
        if (!file) return;
        char buffer[4096];
        std::setvbuf(file, buffer, _IOFBF, sizeof buffer);
        std::size_t kept = 0;
        for (int c; (c = std::fgetc(file)) != EOF;) {
            line_count += c == '\n';
            if (kept < sizeof text - 1) text[kept++] = static_cast<char>(c);
        }
        text[kept] = 0;
        std::fclose(file);
    }

    // The number behind the first `label`, or `otherwise`. An empty label is for the number at the beginning.
    unsigned long long number(const char* label, unsigned long long otherwise) const noexcept {
        const char* const found = std::strstr(text, label);
        if (!found || !*text) return otherwise;
        char* end = nullptr;
        const char* const digits = found + std::strlen(label);
        unsigned long long const value = std::strtoull(digits, &end, 10);
        return end == digits ? otherwise : value;
    }
};

// The limit that keeps `bytes` more of memory from this process, in words, or no text if it can't be told. For 0 bytes,
// when nobody knows how many there were, any limit on memory that the process has is named.
struct memory_limit {
    char text[384] = "";

    explicit memory_limit(std::size_t bytes) noexcept {
        (void)(too_many_mappings() || locked(bytes != 0 ? bytes : std::size_t{64} << 20) ||
               beyond("Max address space", "VmSize:", bytes, "RLIMIT_AS (ulimit -v)", "address space") ||
               beyond("Max data size", "VmData:", bytes, "RLIMIT_DATA (ulimit -d)", "private writable memory") ||
               overcommitted(bytes));
    }
    explicit operator bool() const noexcept { return text[0] != 0; }

private:
    using number = unsigned long long;
    static constexpr number unknown = ~0ull;

    bool too_many_mappings() noexcept {
        number const most = proc_file("/proc/sys/vm/max_map_count").number("", unknown);
        if (most == unknown) return false;
        std::size_t const there = proc_file("/proc/self/maps").line_count;
        if (there + 4 < most) return false; // one in the list does not count, and some may have been unmapped since
        std::snprintf(text, sizeof text,
                      "this process has about %zu memory mappings, and vm.max_map_count = %llu allows no more; "
                      "raise it (sysctl -w vm.max_map_count=1048576), or map fewer and larger pieces",
                      there, most);
        return true;
    }

    // Bytes. "unlimited" is no number.
    static number limit_of(const char* what) noexcept { return proc_file("/proc/self/limits").number(what, unknown); }

    bool beyond(const char* limit, const char* label, std::size_t bytes, const char* name, const char* what) noexcept {
        number const most = limit_of(limit), kib = proc_file("/proc/self/status").number(label, 0);
        if (most == unknown) return false;
        if (bytes != 0 && bytes <= most && kib * 1024 <= most - bytes) return false;
        char asked[48] = "";
        if (bytes != 0)
            std::snprintf(asked, sizeof asked, " and asked for %zu more", bytes / 1024 + (bytes % 1024 != 0));
        std::snprintf(text, sizeof text,
                      "%s allows this process %llu KiB of %s, it has %llu KiB%s; raise the limit, or ask for less",
                      name, most / 1024, what, kib, asked);
        return true;
    }

    // For a process that locks its future memory (mlockall with MCL_FUTURE), even a mapping of nothing counts: EAGAIN.
    bool locked(std::size_t bytes) noexcept {
        number const most = limit_of("Max locked memory");
        if (most == unknown) return false;
        void* const trial = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (trial != MAP_FAILED) {
            ::munmap(trial, bytes);
            return false;
        }
        if (errno != EAGAIN) return false;
        std::snprintf(text, sizeof text,
                      "this process locks all its memory (mlockall with MCL_FUTURE), and RLIMIT_MEMLOCK (ulimit -l) "
                      "allows %llu KiB, of which %llu KiB are locked; raise the limit, or lock less",
                      most / 1024, proc_file("/proc/self/status").number("VmLck:", 0));
        return true;
    }

    bool overcommitted(std::size_t bytes) noexcept {
        number const mode = proc_file("/proc/sys/vm/overcommit_memory").number("", unknown), kib = bytes / 1024;
        proc_file const info("/proc/meminfo");
        number const all = info.number("MemTotal:", unknown), swap = info.number("SwapTotal:", 0);
        if (mode == 0 && all != unknown && kib > all + swap) {
            std::snprintf(text, sizeof text,
                          "%llu KiB were asked for, and the machine has %llu KiB of memory and %llu KiB of swap; ask "
                          "for less",
                          kib, all, swap);
            return true;
        }
        number const most = info.number("CommitLimit:", unknown), used = info.number("Committed_AS:", 0);
        if (mode != 2 || most == unknown || (bytes != 0 && used + kib < most)) return false;
        std::snprintf(text, sizeof text,
                      "vm.overcommit_memory = 2 lets all processes together have %llu KiB (CommitLimit), and they have "
                      "%llu KiB; add memory or swap, or raise vm.overcommit_ratio",
                      most, used);
        return true;
    }
};

inline constexpr const char* no_known_limit =
    "no limit of this process explains it, so the machine or the container has not that much to give; ask for less, or "
    "raise the container's memory limit";

// Writes the limit, or that there is none. `asked` is in bytes, or 0 if nobody knows how many there were.
inline void write_memory_cause(char* text, std::size_t size, std::size_t asked) noexcept {
    memory_limit const limit(asked);
    std::snprintf(text, size, "%s", limit ? limit.text : no_known_limit);
}

constexpr bool power_of_two(std::size_t n) noexcept { return n != 0 && (n & (n - 1)) == 0; }

// "kaio: WHAT: no memory for N bytes: CAUSE"
inline std::string no_memory_text(const char* what, std::size_t bytes) {
    char cause[384], text[512];
    write_memory_cause(cause, sizeof cause, bytes);
    std::snprintf(text, sizeof text, "kaio: %s: no memory for %zu bytes: %s", what, bytes, cause);
    return text;
}

// Messages for aligned_buffer and buffer_pool, which do not know the figures.
struct buffer_words {
    static constexpr const char* name = "kaio::aligned_buffer";
    static std::string text(int error) {
        if (error == EINVAL) return "the alignment must be a power of two";
        char cause[384];
        write_memory_cause(cause, sizeof cause, 0);
        return std::string("no memory: ") + cause;
    }
};
struct pool_words {
    static constexpr const char* name = "kaio::buffer_pool";
    static std::string text(int error) {
        if (error == EINVAL) return "count and size must be 1 or more, and the alignment a power of two";
        return buffer_words::text(error);
    }
};

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
