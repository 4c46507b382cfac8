// checksum FILE...: prints the CRC-32 (that of zip, gzip and Python's zlib.crc32) of each file. Each file is read from
// beginning to end by one coroutine, and 64 of them are on their way at once: while the processor is busy with a block
// of one, the disk reads those of the others.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <ranges>
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

// With direct I/O if the file system has it: only that is asynchronous. O_NONBLOCK: opening a FIFO would wait.
kaio::file open(const char* path) {
    auto opened = kaio::file::try_open(path, O_RDONLY | O_NONBLOCK | O_DIRECT);
    if (!opened && opened.error() == std::errc::invalid_argument)
        return kaio::file::try_open(path, O_RDONLY | O_NONBLOCK).value(path);
    return std::move(opened).value(path); // throws std::system_error: "path: No such file or directory"
}

// As kaio::fully(kaio::read(...)), but native AIO can't read every file: for most of /proc it says EINVAL. Nothing there
// waits for a disk, so the plain call will do.
kaio::task<kaio::transfer_result> read_all(kaio::loop& loop, const kaio::file& file, std::span<std::byte> bytes,
                                           std::int64_t offset) {
    auto const got = co_await loop.submit(kaio::fully(kaio::read(file, bytes, offset)));
    if (file.direct() || got.error() != std::errc::invalid_argument) co_return got;
    std::size_t done = 0;
    while (done < bytes.size()) {
        ssize_t const n =
            ::pread(file.fd(), bytes.data() + done, bytes.size() - done, offset + static_cast<std::int64_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) co_return kaio::transfer_result(done, errno);
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    co_return kaio::transfer_result(done, 0);
}

kaio::task<std::uint32_t> checksum(kaio::loop& loop, const char* path, std::span<std::byte> buffer) {
    kaio::file const file = open(path);
    struct stat status{};
    ::fstat(file.fd(), &status);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        throw std::system_error(S_ISDIR(status.st_mode) ? EISDIR : ESPIPE, std::system_category(), path);

    std::uint32_t crc = 0;
    for (std::int64_t offset = 0;;) {
        auto const got = co_await read_all(loop, file, buffer, offset);
        if (!got) throw std::system_error(got.error(), path);
        crc = crc32(crc, buffer.first(got.bytes()));
        if (got.bytes() < buffer.size()) co_return crc; // the end of the file
        offset += static_cast<std::int64_t>(got.bytes());
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fputs("usage: checksum FILE...\n", stderr), 2;
    std::span<char*> const paths(argv + 1, static_cast<std::size_t>(argc - 1));

    kaio::buffer_pool buffers(files_at_once, block_size);
    kaio::loop loop(files_at_once);
    std::vector<std::optional<std::string>> lines(paths.size()); // of the files that are done; empty: it failed
    std::size_t printed = 0;
    bool failed = false;

    auto const one = [&](std::size_t index) -> kaio::task<> {
        kaio::pooled_buffer const buffer = buffers.take();
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
        // In the order of the arguments, whichever file is done first.
        for (; printed < lines.size() && lines[printed]; ++printed) std::fputs(lines[printed]->c_str(), stdout);
    };
    auto const indices = std::views::iota(std::size_t{0}, paths.size());
    kaio::sync_wait(loop, kaio::for_each_concurrent(indices, files_at_once, one));
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        std::fputs("checksum: the output can't be written\n", stderr);
        failed = true;
    }
    return failed ? 1 : 0;
}
