// What the programs here do in several forms: they read blocks of a file in memory at random offsets, many at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

#include <unistd.h>

#include <kaio/io/aligned_buffer.hpp>

inline constexpr unsigned depth = 32;
inline constexpr std::size_t block_size = 4096;
inline constexpr std::uint64_t blocks = 4096; // in the file

struct work {
    int fd;
    unsigned long total;
    unsigned long issued = 0, done = 0;
    std::uint64_t random = 88172645463325252u; // xorshift64: cheap, so that it does not dominate
    std::byte* buffers[depth];

    std::int64_t offset() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return static_cast<std::int64_t>(random % blocks * block_size);
    }
    std::span<std::byte> buffer(std::size_t slot) const { return {buffers[slot], block_size}; }
    void check(std::int64_t res) {
        if (res != static_cast<std::int64_t>(block_size)) std::abort();
        ++done;
    }
};

struct form {
    std::string_view name;
    void (*run)(work&);
};

// The main function: PROGRAM FORM REQUESTS. Returns the exit status.
inline int run_form(int argc, char** argv, std::span<const form> forms) {
    void (*run)(work&) = nullptr;
    for (form const& each : forms)
        if (argc == 3 && each.name == argv[1]) run = each.run;
    if (!run) {
        std::fprintf(stderr, "usage: %s FORM REQUESTS. Forms:", argv[0]);
        for (form const& each : forms) std::fprintf(stderr, " %s", each.name.data());
        std::fputs("\n", stderr);
        return 2;
    }
    char path[] = "/dev/shm/kaio-cost-XXXXXX";
    work w{.fd = ::mkstemp(path), .total = std::strtoul(argv[2], nullptr, 10), .buffers = {}};
    ::unlink(path);
    if (w.fd < 0 || ::ftruncate(w.fd, blocks * block_size) != 0) return 1;
    kaio::aligned_buffer memory(depth * block_size);
    for (std::size_t slot = 0; slot < depth; ++slot) w.buffers[slot] = memory.data() + slot * block_size;
    run(w);
    return w.done == w.total ? 0 : 1;
}
