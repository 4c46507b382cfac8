// checksum FILE...: prints the CRC-32 of each file, as zip, gzip and Python's zlib.crc32 compute it. One coroutine
// reads one file from beginning to end, and 64 coroutines run at once. While the processor works on a block of one
// file, the disk reads blocks of the others.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

constexpr unsigned files_at_once = 64;
constexpr std::size_t block_size = 256 << 10; // bytes: a multiple of every alignment

constexpr std::array<std::uint32_t, 256> crc_of_byte = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? (crc >> 1) ^ 0xedb88320 : crc >> 1;
        table[byte] = crc;
    }
    return table;
}();

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> data) {
    crc = ~crc;
    for (std::byte byte : data) crc = (crc >> 8) ^ crc_of_byte[(crc ^ static_cast<std::uint32_t>(byte)) & 0xff];
    return ~crc;
}

// Uses direct I/O if the file system has it, because only that is asynchronous. Without O_NONBLOCK, opening a FIFO
// would wait.
kaio::file open(const char* path) {
    auto opened = kaio::file::try_open(path, O_RDONLY | O_NONBLOCK | O_DIRECT);
    if (!opened && opened.error() == std::errc::invalid_argument)
        return kaio::file::try_open(path, O_RDONLY | O_NONBLOCK).value(path);
    return std::move(opened).value(path); // throws std::system_error: "path: No such file or directory"
}

kaio::task<std::uint32_t> checksum(kaio::loop& loop, const char* path, std::span<std::byte> buffer) {
    kaio::file const file = open(path);
    struct stat status{};
    ::fstat(file.fd(), &status);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        throw std::system_error(S_ISDIR(status.st_mode) ? EISDIR : ESPIPE, std::system_category(), path);

    std::uint32_t crc = 0;
    std::int64_t offset = 0;
    for (bool all = status.st_size != 0 || S_ISBLK(status.st_mode); all;) {
        auto const got = co_await loop.submit(kaio::fully(kaio::read(file, buffer, offset)));
        if (!got) throw std::system_error(got.error(), path);
        crc = crc32(crc, buffer.first(got.bytes()));
        offset += static_cast<std::int64_t>(got.bytes());
        all = got.bytes() == buffer.size(); // less: this was the end of the file
    }
    if (offset != 0 && file.size() == static_cast<std::uint64_t>(offset)) co_return crc;
    // The file's size may say nothing. In /proc it is 0, and native AIO can't read most files there. On FUSE native AIO
    // stops at the size even if it is wrong. Plain calls without O_DIRECT read what is there.
    if (::fcntl(file.fd(), F_SETFL, 0) != 0) throw std::system_error(errno, std::system_category(), path);
    for (;;) {
        ssize_t const got = ::pread(file.fd(), buffer.data(), buffer.size(), offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::system_category(), path);
        if (got == 0) co_return crc;
        crc = crc32(crc, buffer.first(static_cast<std::size_t>(got)));
        offset += got;
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fputs("usage: checksum FILE...\n", stderr), 2;
    std::span<char*> const paths(argv + 1, static_cast<std::size_t>(argc - 1));

    kaio::buffer_pool buffers(files_at_once, block_size);
    kaio::loop loop(files_at_once);
    std::vector<std::optional<std::string>> lines(paths.size()); // of each file that is done; empty: it failed
    std::size_t printed = 0;
    bool failed = false;

    auto const one = [&](std::size_t index) -> kaio::task<> {
        kaio::pooled_buffer const buffer = buffers.acquire();
        std::string line;
        try {
            char number[16];
            std::snprintf(number, sizeof number, "%08x", co_await checksum(loop, paths[index], buffer));
            line = std::string(number) + "  " + paths[index] + '\n';
        } catch (const std::system_error& error) {
            std::fprintf(stderr, "checksum: %s\n", error.what());
            failed = true;
        }
        lines[index] = std::move(line);
        // The lines appear in the order of the arguments, whichever file is done first.
        for (; printed < lines.size() && lines[printed]; ++printed) std::fputs(lines[printed]->c_str(), stdout);
    };
    std::vector<std::size_t> indices(paths.size()); // std::views::iota is beyond Clang 15 with libstdc++
    std::iota(indices.begin(), indices.end(), std::size_t{0});
    kaio::sync_wait(loop, kaio::for_each_concurrent(indices, files_at_once, one));
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        std::fputs("checksum: the output can't be written\n", stderr);
        failed = true;
    }
    return failed ? 1 : 0;
}
