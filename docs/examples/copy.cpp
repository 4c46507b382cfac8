// copy [--threads N] [--queue-depth N] [--block-size BYTES] FROM TO: copies a file. Each thread has its own loop and
// works on N blocks at once: some are read while others are written. It uses direct I/O where the file system has it,
// keeps holes, and shows its progress on a terminal. Like cp, it replaces what TO held and reads FROM to its end,
// whatever the size says. It does not wait until everything is permanent; kaio::fdatasync would do that.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <future>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <getopt.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

[[noreturn]] void fail(std::error_code why, const std::string& what) { throw std::system_error(why, what); }
[[noreturn]] void fail(const std::string& what) { fail({errno, std::system_category()}, what); }

// Only direct I/O is asynchronous, but not every file system has it.
kaio::file open(const std::string& path, int flags, mode_t mode = 0) {
    auto opened = kaio::file::try_open(path.c_str(), flags | O_DIRECT, mode);
    if (opened) return std::move(*opened);
    if (opened.error() != std::errc::invalid_argument) fail(opened.error(), path);
    auto buffered = kaio::file::try_open(path.c_str(), flags, mode);
    if (!buffered) fail(buffered.error(), path);
    std::fprintf(stderr, "copy: %s: no direct I/O on this file system, so it is slower\n", path.c_str());
    return std::move(*buffered);
}

struct range {
    std::int64_t begin, end; // bytes
};

constexpr std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

// The parts of a file that are not holes, in whole units.
std::vector<range> find_data(const kaio::file& file, std::int64_t size, std::int64_t unit) {
    std::vector<range> found;
    for (std::int64_t at = 0; at < size; at = found.back().end) {
        std::int64_t data = ::lseek(file.fd(), at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break; // a hole up to the end
        std::int64_t hole = data < 0 ? -1 : ::lseek(file.fd(), data, SEEK_HOLE);
        if (hole < 0) data = at, hole = size; // the file system does not know
        found.push_back({data / unit * unit, round_up(std::min(hole, size), unit)});
    }
    return found;
}

// Allocates the space now. Then a full disk is an error before anything is copied, and no write has to allocate.
void allocate(const kaio::file& file, std::span<const range> parts, const std::string& path) {
    for (range const& part : parts) {
        int done;
        do done = ::fallocate(file.fd(), 0, part.begin, part.end - part.begin);
        while (done != 0 && errno == EINTR);
        if (done != 0 && errno != EOPNOTSUPP) fail(path);
    }
}

void set_size(const kaio::file& file, std::int64_t size, const std::string& path) {
    if (::ftruncate(file.fd(), size) != 0) fail(path);
}

class progress_bar {
public:
    explicit progress_bar(std::int64_t total) : total_(total) {}
    ~progress_bar() {
        if (shown_ >= 0) std::fputc('\n', stderr);
    }

    // Any thread.
    void add(std::int64_t bytes) {
        std::lock_guard const lock(mutex_);
        done_ += bytes;
        int const percent = static_cast<int>(done_ * 100 / total_);
        if (!terminal_ || percent == shown_) return;
        shown_ = percent;
        std::string const bar(static_cast<std::size_t>(percent) / 2, '#');
        std::fprintf(stderr, "\r[%-50s] %3d %%", bar.c_str(), percent);
    }

private:
    std::mutex mutex_;
    bool const terminal_ = ::isatty(STDERR_FILENO) == 1;
    std::int64_t const total_;
    std::int64_t done_ = 0;
    int shown_ = -1;
};

struct options {
    std::uint32_t threads = 0; // 0: as many as make sense
    std::uint32_t queue_depth = 4;
    std::uint32_t block_size = 1 << 20; // fewer, larger requests cost the kernel half the time of 256 KiB
    std::string from, to;
};

// A disk works by itself, so one thread is enough. A file system without a device of its own (tmpfs, btrfs) does much
// of its work inside io_submit, on the processor that calls it.
std::uint32_t default_threads(const struct stat& source) {
    return major(source.st_dev) != 0 ? 1 : std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
}

struct copy_job {
    const options& wanted;
    const kaio::file &from, &to;
    std::int64_t size; // of the source when it was opened, in bytes
    std::vector<range> blocks;
    progress_bar progress;
    std::atomic<std::size_t> next = 0;         // the first block that no task has begun
    std::atomic<std::int64_t> end = INT64_MAX; // where the source was found to end, if before its size
    std::atomic<std::int64_t> last = 0;        // the end of the last byte that was found
};

constexpr auto smaller = [](std::int64_t a, std::int64_t b) { return a < b; };
constexpr auto larger = [](std::int64_t a, std::int64_t b) { return a > b; };

// Stores `value` if it is better than what is stored.
template <class Better> void improve(std::atomic<std::int64_t>& best, std::int64_t value, Better better) {
    std::int64_t old = best;
    while (better(value, old) && !best.compare_exchange_weak(old, value)) continue;
}

// Copies a block, in whole units, and returns the offset where its bytes end. The file's size is set at the end.
kaio::task<std::int64_t> copy_block(copy_job& job, kaio::loop& loop, range block, std::span<std::byte> buffer) {
    std::span const bytes = buffer.first(static_cast<std::size_t>(block.end - block.begin));

    auto const got = co_await loop.submit(kaio::fully(kaio::read(job.from, bytes, block.begin)));
    if (!got) fail(got.error(), job.wanted.from);
    std::ranges::fill(bytes.subspan(got.bytes()), std::byte{0});
    auto const put = co_await loop.submit(kaio::fully(kaio::write(job.to, bytes, block.begin)));
    if (!put) fail(put.error(), job.wanted.to);
    co_return block.begin + static_cast<std::int64_t>(got.bytes());
}

// Copies one block after the other, until none is left or one has failed.
kaio::task<> copy_blocks(copy_job& job, kaio::loop& loop, kaio::pooled_buffer buffer) {
    try {
        for (std::size_t i; (i = job.next++) < job.blocks.size();) {
            range const block = job.blocks[i];
            std::int64_t const end = co_await copy_block(job, loop, block, buffer);
            if (end < std::min(block.end, job.size)) improve(job.end, end, smaller);
            if (end > block.begin) improve(job.last, end, larger);
            job.progress.add(block.end - block.begin);
        }
    } catch (...) {
        job.next = job.blocks.size();
        throw;
    }
}

// What each thread does.
void copy_some(copy_job& job, kaio::loop& loop, std::size_t block_size, std::size_t alignment) {
    kaio::buffer_pool buffers(job.wanted.queue_depth, block_size, alignment, {.huge_pages = true});
    std::vector<kaio::task<>> tasks;
    for (std::uint32_t i = 0; i < job.wanted.queue_depth; ++i)
        tasks.push_back(copy_blocks(job, loop, buffers.acquire()));
    kaio::sync_wait(loop, kaio::when_all(std::move(tasks)));
}
void copy_some_more(copy_job& job, std::size_t block_size, std::size_t alignment) {
    kaio::loop loop(job.wanted.queue_depth);
    copy_some(job, loop, block_size, alignment);
}

// Copies what follows the bytes that are done: all of a file in /proc, and what others have appended meanwhile. Returns
// the offset where the file ends. It uses plain pread, because native AIO can't read most of /proc, and on FUSE stops
// at the size even if it is wrong.
std::int64_t copy_rest(copy_job& job, kaio::loop& loop, std::int64_t done, std::int64_t unit, std::size_t block_size,
                       std::size_t alignment) {
    if (::fcntl(job.from.fd(), F_SETFL, 0) != 0) fail(job.wanted.from); // without O_DIRECT, any offset can be read
    kaio::aligned_buffer buffer(block_size, alignment);
    for (std::int64_t end = done;;) {
        std::int64_t const at = end / unit * unit; // writes begin at a whole unit
        std::size_t have = 0;
        while (have < buffer.size()) {
            ssize_t const n = ::pread(job.from.fd(), buffer.data() + have, buffer.size() - have,
                                      at + static_cast<std::int64_t>(have));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail(job.wanted.from);
            have += static_cast<std::size_t>(n);
            if (n == 0 || job.from.size() == static_cast<std::uint64_t>(at) + have) break;
        }
        end = at + static_cast<std::int64_t>(have);
        std::size_t const whole = static_cast<std::size_t>(round_up(static_cast<std::int64_t>(have), unit));
        std::fill(buffer.data() + have, buffer.data() + whole, std::byte{0});
        std::span const bytes(buffer.data(), whole);
        if (end > done) {
            kaio::transfer_result put(0, 0);
            loop.submit(kaio::fully(kaio::write(job.to, bytes, at)), [&](kaio::transfer_result r) { put = r; });
            loop.run();
            if (!put) fail(put.error(), job.wanted.to);
        }
        if (have < buffer.size()) return end;
    }
}

void copy_data(const options& wanted, const kaio::file& from, const kaio::file& to, std::int64_t size) {
    auto const [memory, unit] = std::pair(std::max(from.alignment().memory, to.alignment().memory),
                                          std::max(from.alignment().offset, to.alignment().offset));
    std::int64_t const block_size = round_up(wanted.block_size, unit);
    std::vector<range> const data = find_data(from, size, unit);

    // A write that extends the file is synchronous on ext4. So the file gets its size first, in whole units.
    set_size(to, round_up(size, unit), wanted.to);
    allocate(to, data, wanted.to);

    std::int64_t total = 0;
    std::vector<range> blocks;
    for (range const& part : data) {
        total += part.end - part.begin;
        for (std::int64_t at = part.begin; at < part.end; at += block_size)
            blocks.push_back({at, std::min(at + block_size, part.end)});
    }

    copy_job job{.wanted = wanted,
                 .from = from,
                 .to = to,
                 .size = size,
                 .blocks = std::move(blocks),
                 .progress = progress_bar(total)};
    // The kernel takes 30 ms to end a loop. So this thread has one for all that it does.
    kaio::loop loop(wanted.queue_depth);
    std::vector<std::future<void>> threads;
    for (std::size_t i = 1; i < wanted.threads && i < job.blocks.size(); ++i)
        threads.push_back(std::async(std::launch::async, copy_some_more, std::ref(job), block_size, memory));
    copy_some(job, loop, static_cast<std::size_t>(block_size), memory);
    for (std::future<void>& thread : threads) thread.get();

    std::int64_t const end =
        copy_rest(job, loop, std::min<std::int64_t>(size, job.end), unit, static_cast<std::size_t>(block_size), memory);
    // If the source ends before its size and the size has not changed, the size says nothing (in /sys it is always
    // 4096).
    if (end < size && (static_cast<std::int64_t>(from.size()) != size || job.last > end))
        throw std::runtime_error(wanted.from + ": it became shorter while it was copied");
    set_size(to, end, wanted.to);
}

void must_be_regular(const std::string& path, const struct stat& status) {
    if (S_ISDIR(status.st_mode)) throw std::runtime_error(path + ": is a directory");
    if (!S_ISREG(status.st_mode)) throw std::runtime_error(path + ": is not a regular file");
}

void copy(options wanted) {
    struct stat source, target;
    if (::stat(wanted.from.c_str(), &source) != 0) fail(wanted.from);
    must_be_regular(wanted.from, source);
    bool const exists = ::stat(wanted.to.c_str(), &target) == 0;
    if (exists) must_be_regular(wanted.to, target);
    if (exists && source.st_dev == target.st_dev && source.st_ino == target.st_ino)
        throw std::runtime_error(wanted.from + " and " + wanted.to + " are the same file");

    if (wanted.threads == 0) wanted.threads = default_threads(source);
    kaio::file const from = open(wanted.from, O_RDONLY);
    kaio::file to = open(wanted.to, O_WRONLY | O_CREAT | O_TRUNC, source.st_mode & 0777);
    try {
        copy_data(wanted, from, to, static_cast<std::int64_t>(from.size()));
        if (auto const closed = to.try_close(); !closed) fail(closed.error(), wanted.to); // a quota on a network disk
    } catch (const std::exception& error) {
        if (!exists) ::unlink(wanted.to.c_str());
        throw std::runtime_error(std::string(error.what()) + "; " + wanted.to +
                                 (exists ? " is not complete" : " was removed"));
    }
}

constexpr const char* usage = "usage: copy [--threads N] [--queue-depth N] [--block-size BYTES] FROM TO\n";

std::uint32_t number(std::string_view text, const char* option) {
    std::uint32_t value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > 1u << 30)
        throw std::runtime_error(std::string(option) + " must be a number from 1 to 1073741824");
    return value;
}

} // namespace

int main(int argc, char** argv) {
    constexpr option known[] = {{"threads", required_argument, nullptr, 't'},
                                {"queue-depth", required_argument, nullptr, 'q'},
                                {"block-size", required_argument, nullptr, 'b'},
                                {nullptr, 0, nullptr, 0}};
    try {
        options wanted;
        for (int found; (found = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
            if (found == 't')
                wanted.threads = number(optarg, "--threads");
            else if (found == 'q')
                wanted.queue_depth = number(optarg, "--queue-depth");
            else if (found == 'b')
                wanted.block_size = number(optarg, "--block-size");
            else
                return std::fputs(usage, stderr), 2;
        }
        if (argc - optind != 2) return std::fputs(usage, stderr), 2;
        wanted.from = argv[optind];
        wanted.to = argv[optind + 1];
        copy(std::move(wanted));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "copy: %s\n", error.what());
        return 1;
    }
}
