#include "operations.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>
#include <span>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>

#include <kaio/io/aligned_buffer.hpp>

#include "scratch.hpp"

namespace probe {
namespace {

constexpr std::uint64_t files_at_once = 4;

// Returns the number of places for requests in a file. Each has room for the two blocks of a vectored request.
std::uint64_t places(unsigned repetitions) noexcept { return std::bit_ceil(std::uint64_t{repetitions} + 1); }

// A file and the memory for one request on it.
struct ground {
    ground(const std::string& directory, std::size_t size_of_block, unsigned repetitions)
        : block(size_of_block), count(places(repetitions)), buffer(2 * block), file(directory) {
        std::fill(buffer.begin(), buffer.end(), std::byte{'k'});
        vector = {iovec{buffer.data(), block}, iovec{buffer.data() + block, block}};
        // Without reading ahead, each request meets the device.
        ::posix_fadvise(file.buffered.fd(), 0, 0, POSIX_FADV_RANDOM);
    }

    std::span<std::byte> bytes() { return {buffer.data(), block}; }
    std::uint64_t size() const noexcept { return count * 2 * block; }

    // Returns another place for each n, far from the one before: count is a power of two, and the factor is odd.
    std::int64_t place(unsigned n) const noexcept {
        return static_cast<std::int64_t>(n * (count * 5 / 8 | 1) % count * 2 * block);
    }

    void write_now(unsigned n) { check(::pwrite(file.buffered.fd(), buffer.data(), block, place(n))); }
    void read_now(unsigned n) { check(::pread(file.buffered.fd(), buffer.data(), block, place(n))); }
    void forget_cache() const {
        ::fdatasync(file.buffered.fd()); // dirty pages can't be dropped
        ::posix_fadvise(file.buffered.fd(), 0, 0, POSIX_FADV_DONTNEED);
    }
    void check(ssize_t done) const {
        if (done != static_cast<ssize_t>(block))
            throw std::runtime_error("using the temporary file: " +
                                     (done < 0 ? std::system_category().message(errno) : "no space left"));
    }

    std::size_t block;
    std::uint64_t count;
    kaio::aligned_buffer buffer;
    std::array<iovec, 2> vector;
    scratch file;
};
using ground_ptr = std::shared_ptr<ground>;

std::string without_direct(const ground& g) {
    return g.file.direct ? "" : "no O_DIRECT: " + std::system_category().message(g.file.direct_error);
}

// Returns a write of one block to a file that is not filled. `prepare` gets the file ready, and returns 0 or an errno.
template <class Prepare, class Place>
operation write_to_new(const char* name, const ground_ptr& g, Prepare prepare, Place place) {
    operation made{name,
                   g->block,
                   [=](unsigned n) { return kaio::write(g->file.direct.fd(), g->bytes(), place(n)); },
                   {},
                   without_direct(*g)};
    if (int const error = prepare(g->file.buffered.fd(), static_cast<off_t>(g->size())); error && made.error.empty())
        made.error = "the file system refuses it: " + std::system_category().message(error);
    return made;
}

} // namespace

std::uint64_t room_needed(std::size_t block, unsigned repetitions) noexcept {
    return files_at_once * places(repetitions) * 2 * block;
}

std::vector<operation> make_operations(const std::string& directory, std::size_t block, unsigned repetitions) {
    auto const make = [&] { return std::make_shared<ground>(directory, block, repetitions); };
    auto const g = make(), allocated = make(), hole = make(), growing = make();
    g->file.fill(g->size());

    int const direct = g->file.direct.fd(), buffered = g->file.buffered.fd();
    auto const read = [g](int fd) { return [=](unsigned n) { return kaio::read(fd, g->bytes(), g->place(n)); }; };
    auto const write = [g](int fd) { return [=](unsigned n) { return kaio::write(fd, g->bytes(), g->place(n)); }; };
    auto const readv = [=](unsigned n) { return kaio::readv(direct, g->vector, g->place(n)); };
    auto const writev = [=](unsigned n) { return kaio::writev(direct, g->vector, g->place(n)); };
    auto const dirty = [g](unsigned n) { g->write_now(n); };
    auto const warm = [g](unsigned n) { g->read_now(n); };
    auto const cold = [g](unsigned) { g->forget_cache(); };
    std::string const no = without_direct(*g);

    return {
        {"read", block, read(direct), {}, no},
        {"vectored read", 2 * block, readv, {}, no},
        {"overwrite", block, write(direct), {}, no},
        {"vectored overwrite", 2 * block, writev, {}, no},
        write_to_new(
            "fallocated write", allocated,
            [](int fd, off_t size) { return ::fallocate(fd, 0, 0, size) == 0 ? 0 : errno; },
            [=](unsigned n) { return allocated->place(n); }),
        write_to_new(
            "write into a hole", hole, [](int fd, off_t size) { return ::ftruncate(fd, size) == 0 ? 0 : errno; },
            [=](unsigned n) { return hole->place(n); }),
        write_to_new(
            "extending write", growing, [](int, off_t) { return 0; },
            [=](unsigned n) { return static_cast<std::int64_t>(n * block); }),
        {"fsync", 0, [=](unsigned) { return kaio::fsync(buffered); }, dirty},
        {"fdatasync", 0, [=](unsigned) { return kaio::fdatasync(buffered); }, dirty},
        {"cold buffered read", block, read(buffered), cold},
        {"warm buffered read", block, read(buffered), warm},
        {"buffered write", block, write(buffered), warm},
    };
}

} // namespace probe
