// load run [OPTIONS] FILE RECORD: overwrites blocks of FILE, many at once and in any order, and goes on after errors.
// RECORD, a file elsewhere, keeps what was begun and what was acknowledged, also if the program is killed.
// load check FILE RECORD: reads every block. FILE may be another copy, such as the one of a replica. The exit status is
// 1 if a block has lost what was acknowledged, or holds anything but one whole write.
//
//   --size BYTES     of FILE (16 MiB), which is made and filled first unless it is a block device
//   --seconds N      how long it writes (10), unless SIGTERM ends that before
//   --depth N        blocks in flight (16)
//   --rest MS        how long each of them rests between two writes (0)
//   --by METHOD      what acknowledges blocks: an fdatasync (as usual), or dsync, the flag of each write
//
// It prints lines of `name: value`. "writing" is the first: the file is there, and the time begins.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <getopt.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kaio/coro/mutex.hpp>
#include <kaio/coro/write_range.hpp>
#include <kaio/kaio.hpp>

namespace {

constexpr std::size_t block_size = 4096;
constexpr std::int64_t a_second = 1'000'000'000; // ns
constexpr const char* usage =
    "usage: load run [--size BYTES] [--seconds N] [--depth N] [--rest MS] [--by fdatasync|dsync] FILE RECORD\n"
    "       load check FILE RECORD\n";

[[noreturn]] void fail(std::error_code why, const std::string& what) { throw std::system_error(why, what); }
[[noreturn]] void fail(const std::string& what) { fail({errno, std::system_category()}, what); }

volatile std::sig_atomic_t terminated = 0; // SIGTERM has come

struct options {
    std::size_t size = 16 << 20; // bytes
    std::int64_t seconds = 10;
    std::size_t depth = 16;
    std::int64_t rest = 0; // ms
    bool dsync = false;
    std::string file, record;
};

// What a block may hold: the write with the number `begun`, or an earlier one down to `acknowledged`. The file is
// filled by the writes with the number 0.
struct block_state {
    std::uint32_t begun, acknowledged;
};

// The states of all blocks, in memory that is a file.
class record {
public:
    // Makes it for so many blocks.
    record(const std::string& path, std::size_t blocks) : fd_(open(path, O_RDWR | O_CREAT | O_TRUNC)) {
        if (::ftruncate(fd_.fd(), static_cast<off_t>((blocks + 1) * sizeof(block_state))) != 0) fail(path);
        map(path, PROT_READ | PROT_WRITE);
        std::random_device random;
        states_[0] = {random(), random()};
    }

    explicit record(const std::string& path) : fd_(open(path, O_RDONLY)) { map(path, PROT_READ); }

    // Tells the writes of this run from those of others.
    std::uint64_t run() const { return std::uint64_t{states_[0].begun} << 32 | states_[0].acknowledged; }
    std::span<block_state> blocks() const { return states_.subspan(1); }

private:
    static kaio::file open(const std::string& path, int flags) { return kaio::file::open(path, flags, 0644); }

    void map(const std::string& path, int access) {
        auto const bytes = static_cast<std::size_t>(fd_.size());
        if (bytes < 2 * sizeof(block_state)) throw std::runtime_error(path + ": not a record");
        void* const memory = ::mmap(nullptr, bytes, access, MAP_SHARED, fd_.fd(), 0);
        if (memory == MAP_FAILED) fail(path);
        states_ = {static_cast<block_state*>(memory), bytes / sizeof(block_state)};
    }

    kaio::file fd_;
    std::span<block_state> states_; // the first is the run
};

// The content of a block follows from the run, the block and the number of the write.
void stamp(std::span<std::byte> bytes, std::uint64_t run, std::size_t block, std::uint32_t number) {
    std::uint64_t const head = std::uint64_t{block} << 32 | number;
    std::memcpy(bytes.data(), &head, sizeof head);
    for (std::size_t at = sizeof head; at < block_size; at += sizeof head) {
        std::uint64_t const word = (run ^ head) * 0x9e3779b97f4a7c15 + at;
        std::memcpy(bytes.data() + at, &word, sizeof word);
    }
}

// Only direct I/O is asynchronous, but not every file system has it.
kaio::file open_data(const std::string& path, int flags) {
    auto opened = kaio::file::try_open(path.c_str(), flags | O_DIRECT, 0644);
    if (!opened && opened.error() == std::errc::invalid_argument)
        opened = kaio::file::try_open(path.c_str(), flags, 0644);
    if (!opened) fail(opened.error(), path);
    return std::move(*opened);
}

kaio::duration milliseconds(std::int64_t count) { return kaio::duration::from_ns(count * (a_second / 1000)); }
double in_seconds(std::int64_t ns) { return static_cast<double>(ns) / a_second; }

class load {
public:
    load(const options& wanted, const kaio::file& file)
        : wanted_(wanted), file_(file), record_(wanted.record, wanted.size / block_size) {}

    void run() {
        fill();
        std::printf("writing\n");
        std::fflush(stdout);
        began_ = last_ = kaio::linux_kernel::now();
        for (std::size_t i = 0; i < wanted_.depth; ++i) kaio::spawn(loop_, overwrite(i));
        loop_.run();
        end_silence();
    }

    void print() {
        double const time = in_seconds(last_ - began_);
        std::printf("acknowledged: %llu\n", static_cast<unsigned long long>(acknowledged_));
        std::printf("acknowledged a second: %.0f\n", static_cast<double>(acknowledged_) / time);
        std::printf("longest silence: %.3f s, from %.3f s on\n", in_seconds(silence_),
                    in_seconds(silent_from_ - began_));
        std::printf("silences of a second or more: %u\n", long_silences_);
        std::printf("longest write: %.3f s\n", in_seconds(longest_write_));
        std::printf("longest fdatasync: %.3f s\n", in_seconds(longest_sync_));
        std::printf("longest io_submit: %.6f s\n", in_seconds(loop_.observer().longest_submit_ns));
        for (auto const& [what, count] : errors_)
            std::printf("%s, errno %d, %s: %llu\n", what.first.c_str(), what.second, std::strerror(what.second),
                        static_cast<unsigned long long>(count));
    }

private:
    using loop_type = kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>;

    void fill() {
        kaio::aligned_buffer content(wanted_.size);
        for (std::size_t i = 0; i < record_.blocks().size(); ++i)
            stamp(std::span<std::byte>(content).subspan(i * block_size), record_.run(), i, 0);
        kaio::sync_wait(loop_, kaio::write_range(loop_, file_, content, 0)).value("filling the file");
        if (::fsync(file_.fd()) != 0) fail("fsync");
    }

    // Overwrites blocks that are this task's alone, one after the other.
    kaio::task<> overwrite(std::size_t task) {
        std::size_t const blocks = (record_.blocks().size() - task - 1) / wanted_.depth + 1;
        kaio::aligned_buffer buffer(block_size);
        while (terminated == 0 && kaio::linux_kernel::now() - began_ < wanted_.seconds * a_second) {
            std::size_t const block = task + random_() % blocks * wanted_.depth;
            block_state& state = record_.blocks()[block];
            stamp(buffer, record_.run(), block, ++state.begun);
            bool const acknowledged = co_await write(block, buffer);
            if (acknowledged) {
                state.acknowledged = state.begun;
                ++acknowledged_;
                end_silence();
                if (wanted_.rest != 0) co_await loop_.sleep_for(milliseconds(wanted_.rest));
            } else {
                co_await loop_.sleep_for(milliseconds(10)); // errors may come at once
            }
        }
    }

    // Returns whether it is acknowledged.
    kaio::task<bool> write(std::size_t block, const kaio::aligned_buffer& buffer) {
        auto const flags = wanted_.dsync ? kaio::rw_flags::dsync : kaio::rw_flags{};
        std::uint64_t const failures = failed_syncs_;
        std::int64_t const start = kaio::linux_kernel::now();
        auto const written = co_await loop_.submit(
            kaio::fully(kaio::write(file_, buffer, static_cast<std::int64_t>(block * block_size)).flags(flags)));
        longest_write_ = std::max(longest_write_, kaio::linux_kernel::now() - start);
        if (!written) note("write", written.error());
        if (!written || wanted_.dsync) co_return static_cast<bool>(written);
        co_return co_await sync(failures);
    }

    // Makes permanent what has been written. One fdatasync serves all writes that completed before it began. If one
    // fails, every write that was begun before counts as failed (`failures` is the number of failed ones when it was):
    // the error may be that of any of them, and the next fdatasync does not report it again.
    kaio::task<bool> sync(std::uint64_t failures) {
        std::uint64_t const before = syncs_;
        auto const turn = co_await one_sync_.lock();
        if (failed_syncs_ == failures && good_sync_ <= before) {
            std::uint64_t const number = ++syncs_;
            std::int64_t const start = kaio::linux_kernel::now();
            auto const synced = co_await loop_.submit(kaio::fdatasync(file_));
            longest_sync_ = std::max(longest_sync_, kaio::linux_kernel::now() - start);
            if (synced) {
                good_sync_ = number;
            } else {
                ++failed_syncs_;
                note("fdatasync", synced.error());
            }
        }
        co_return failed_syncs_ == failures;
    }

    void note(const char* what, std::error_code error) { ++errors_[{what, error.value()}]; }

    void end_silence() {
        std::int64_t const now = kaio::linux_kernel::now(), silence = now - last_;
        long_silences_ += silence >= a_second;
        if (silence > silence_) silence_ = silence, silent_from_ = last_;
        last_ = now;
    }

    const options& wanted_;
    const kaio::file& file_;
    record record_;
    std::mt19937 random_{std::random_device()()};
    std::uint64_t acknowledged_ = 0;
    std::int64_t began_ = 0, last_ = 0, silence_ = 0, silent_from_ = 0, longest_write_ = 0, longest_sync_ = 0; // ns
    unsigned long_silences_ = 0;
    std::uint64_t syncs_ = 0, good_sync_ = 0, failed_syncs_ = 0; // begun, the last good one's number, how many failed
    kaio::mutex one_sync_;
    std::map<std::pair<std::string, int>, std::uint64_t> errors_; // by what failed, and errno
    loop_type loop_{static_cast<unsigned>(wanted_.depth)};
};

void run(const options& wanted) {
    kaio::file const file = open_data(wanted.file, O_RDWR | O_CREAT);
    load job(wanted, file);
    std::signal(SIGTERM, [](int) { terminated = 1; });
    job.run();
    job.print();
}

// Returns whether all is well.
bool check(const options& wanted) {
    kaio::file const file = open_data(wanted.file, O_RDONLY);
    record const record(wanted.record);
    auto const blocks = record.blocks();
    kaio::aligned_buffer content(blocks.size() * block_size), whole(block_size);
    kaio::loop loop(16);
    auto const got = kaio::sync_wait(loop, kaio::read_range(loop, file, content, 0)).value("reading the file");

    std::size_t written = 0, later = 0, lost = 0, torn = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const [begun, acknowledged] = blocks[i];
        auto const* const found = content.data() + i * block_size;
        std::uint64_t head;
        std::memcpy(&head, found, sizeof head);
        auto const number = static_cast<std::uint32_t>(head);
        stamp(whole, record.run(), i, number);
        written += acknowledged != 0;
        if ((i + 1) * block_size > got || number > begun || std::memcmp(found, whole.data(), block_size) != 0)
            ++torn;
        else if (number < acknowledged)
            ++lost;
        else
            later += number > acknowledged;
    }
    std::printf("blocks: %zu\n", blocks.size());
    std::printf("acknowledged at least once: %zu\n", written);
    std::printf("newer than acknowledged: %zu\n", later);
    std::printf("lost: %zu\n", lost);
    std::printf("torn: %zu\n", torn);
    return lost == 0 && torn == 0;
}

// Throws std::invalid_argument.
std::size_t number(const char* text, std::size_t least, std::size_t most) {
    char* end = nullptr;
    unsigned long long const value = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value < least || value > most) throw std::invalid_argument(text);
    return static_cast<std::size_t>(value);
}

options parse(int argc, char** argv) {
    constexpr option known[] = {
        {"size", required_argument, nullptr, 's'},  {"seconds", required_argument, nullptr, 't'},
        {"depth", required_argument, nullptr, 'd'}, {"rest", required_argument, nullptr, 'r'},
        {"by", required_argument, nullptr, 'b'},    {}};
    options wanted;
    for (int found; (found = ::getopt_long(argc, argv, "", known, nullptr)) != -1;) {
        std::string_view const value = optarg ? optarg : "";
        if (found == 's')
            wanted.size = number(optarg, block_size, std::size_t{1} << 30) / block_size * block_size;
        else if (found == 't')
            wanted.seconds = static_cast<std::int64_t>(number(optarg, 1, 86'400));
        else if (found == 'd')
            wanted.depth = number(optarg, 1, 1024);
        else if (found == 'r')
            wanted.rest = static_cast<std::int64_t>(number(optarg, 0, 60'000));
        else if (found == 'b' && (value == "fdatasync" || value == "dsync"))
            wanted.dsync = value == "dsync";
        else
            throw std::invalid_argument("--by");
    }
    if (argc - optind != 2) throw std::invalid_argument("FILE RECORD");
    wanted.depth = std::min(wanted.depth, wanted.size / block_size);
    wanted.file = argv[optind];
    wanted.record = argv[optind + 1];
    return wanted;
}

} // namespace

int main(int argc, char** argv) {
    std::string_view const mode = argc > 1 ? argv[1] : "";
    if (mode != "run" && mode != "check") return std::fputs(usage, stderr), 2;
    try {
        options const wanted = parse(argc - 1, argv + 1);
        bool const good = mode == "check" ? check(wanted) : (run(wanted), true);
        if (std::fflush(stdout) != 0 || std::ferror(stdout)) throw std::runtime_error("the output can't be written");
        return good ? 0 : 1;
    } catch (const std::invalid_argument&) {
        return std::fputs(usage, stderr), 2;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "load: %s\n", failure.what());
        return 1;
    }
}
