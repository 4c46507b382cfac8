// kill -9 at random moments. A writer appends records through a loop, several at a time. Through a pipe it acknowledges
// the records that are on disk. Every record that it acknowledged before it was killed must be whole in the file.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

enum class durability { dsync, group_commit, none_yet }; // none_yet: acknowledged before it is written, which is wrong

struct plan {
    std::string folder;
    durability how;
    bool direct;
    kaio::reaping events;
};

constexpr unsigned in_flight = 8;

// The n-th record of a file is `size` bytes at n * size. All of its words follow from its number.
void fill(std::span<std::byte> record, std::uint64_t number) {
    auto* const words = reinterpret_cast<std::uint64_t*>(record.data());
    for (std::size_t i = 0; i < record.size() / 8; ++i) words[i] = number * 0x9e3779b97f4a7c15 + i;
}

bool intact(std::span<const std::byte> record, std::uint64_t number) {
    auto const* const words = reinterpret_cast<const std::uint64_t*>(record.data());
    for (std::size_t i = 0; i < record.size() / 8; ++i)
        if (words[i] != number * 0x9e3779b97f4a7c15 + i) return false;
    return true;
}

// Appends records, beginning with `next`, until it is killed. Any error ends the process, which the parent notices.
class writer {
public:
    writer(const kaio::file& file, std::size_t size, std::uint64_t next, const plan& p, int acknowledgements)
        : file_(file), size_(size), next_(next), plan_(p), acknowledgements_(acknowledgements),
          memory_(in_flight * size), loop_(in_flight + 1, {.setup = {.events = p.events}}) {}

    [[noreturn]] void run() {
        for (unsigned slot = 0; slot < in_flight; ++slot) append(slot);
        loop_.run();
        ::_exit(1);
    }

private:
    void append(unsigned slot) {
        std::uint64_t const number = next_++;
        auto const record = std::span<std::byte>(memory_).subspan(slot * size_, size_);
        fill(record, number);
        auto write = kaio::write(file_, record, static_cast<std::int64_t>(number * size_));
        if (plan_.how == durability::dsync) write = write.flags(kaio::rw_flags::dsync);
        if (plan_.how == durability::none_yet) acknowledge(number);
        loop_.submit(write, [this, slot, number](kaio::io_result r) {
            if (r.bytes() != size_) ::_exit(2);
            if (plan_.how == durability::group_commit) return commit(slot, number);
            if (plan_.how == durability::dsync) acknowledge(number);
            append(slot);
        });
    }

    struct written {
        unsigned slot;
        std::uint64_t number;
    };

    // One fdatasync at a time, for all records that were written before it is submitted.
    void commit(unsigned slot, std::uint64_t number) {
        written_.push_back({slot, number});
        if (syncing_.empty()) sync();
    }
    void sync() {
        syncing_.swap(written_);
        loop_.submit(kaio::fdatasync(file_), [this](kaio::io_result r) {
            if (!r) ::_exit(3);
            auto const synced = std::exchange(syncing_, {});
            for (auto const& [slot, number] : synced) acknowledge(number);
            if (!written_.empty()) sync();
            for (auto const& [slot, number] : synced) append(slot);
        });
    }

    void acknowledge(std::uint64_t number) {
        if (::write(acknowledgements_, &number, sizeof number) != sizeof number) ::_exit(4);
    }

    const kaio::file& file_;
    std::size_t size_;
    std::uint64_t next_;
    plan const plan_;
    int acknowledgements_;
    std::vector<written> written_, syncing_;
    kaio::aligned_buffer memory_;
    kaio::loop loop_;
};

// A file to which many writers append in turn.
class journal {
public:
    explicit journal(const plan& p) : plan_(p), path_(p.folder + "/kaio-kill-XXXXXX") {
        ::close(::mkstemp(path_.data()));
        auto opened = kaio::file::try_open(path_.c_str(), O_RDWR | (p.direct ? O_DIRECT : 0));
        ::unlink(path_.c_str());
        if (!opened) SKIP_TEST("the file system of " + p.folder + " has no direct I/O");
        file_ = std::move(*opened);
    }

    void start_writer() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        pipe_ = kaio::file::adopt(ends[0]);
        pid_ = ::fork();
        if (pid_ == 0) writer(file_, size_, next_, plan_, ends[1]).run();
        ::close(ends[1]);
    }

    // Waits until the writer has acknowledged something, or has ended, which check() notices.
    void wait_for_writer() {
        pollfd pipe{pipe_.fd(), POLLIN, 0};
        ::poll(&pipe, 1, 30'000);
    }

    void kill_writer() { ::kill(pid_, SIGKILL); }

    // Waits for the end of the writer and checks the records that it acknowledged. Returns how many they were.
    std::size_t check() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        REQUIRE(WIFSIGNALED(status)); // else it had an error
        REQUIRE(WTERMSIG(status) == SIGKILL);
        std::size_t const before = acknowledged_.size();
        std::uint64_t number = 0;
        ssize_t got;
        while ((got = ::read(pipe_.fd(), &number, sizeof number)) == sizeof number) acknowledged_.push_back(number);
        REQUIRE(got == 0);
        for (std::size_t i = before; i < acknowledged_.size(); ++i) {
            lost_ += !found(acknowledged_[i]);
            if (acknowledged_[i] >= next_) next_ = acknowledged_[i] + 1;
        }
        std::size_t const more = acknowledged_.size() - before;
        if (next_ * size_ > 4 << 20) start_over();
        return more;
    }

    // Checks once more all records that any writer acknowledged, and empties the file.
    void start_over() {
        for (std::uint64_t const number : acknowledged_) lost_ += !found(number);
        acknowledged_.clear();
        next_ = 0;
        REQUIRE(::ftruncate(file_.fd(), 0) == 0);
    }

    // The number of acknowledged records that are missing or torn.
    std::size_t lost() const { return lost_; }

private:
    bool found(std::uint64_t number) {
        return ::pread(file_.fd(), record_.data(), size_, static_cast<off_t>(number * size_)) ==
                   static_cast<ssize_t>(size_) &&
               intact(record_, number);
    }

    plan plan_;
    std::string path_;
    std::size_t const size_ = plan_.direct ? 4096 : 3000; // a buffered record lies across pages
    kaio::aligned_buffer record_{size_};
    kaio::file file_, pipe_;
    pid_t pid_ = 0;
    std::uint64_t next_ = 0;
    std::vector<std::uint64_t> acknowledged_;
    std::size_t lost_ = 0;
};

std::vector<plan> plans(durability how) {
    std::vector<plan> all;
    for (std::string const& place : {test::temporary_file::usual_folder(), std::string(".")})
        for (bool const direct : {false, true})
            for (auto const events : {kaio::reaping::automatic, kaio::reaping::syscall})
                all.push_back({place, how, direct, events});
    return all;
}

struct outcome {
    std::size_t kills = 0, acknowledged = 0, lost = 0;
};

// Kills writers in `rounds` rounds. In each round one writer per plan runs at the same time, because ending a process
// that has a context takes 30 ms. With `until_lost` it stops at the first loss.
outcome kill_writers(std::vector<plan> const& all, int rounds, bool until_lost, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<journal> journals;
    journals.reserve(all.size());
    for (plan const& p : all) journals.emplace_back(p);
    outcome total;
    while (rounds-- > 0 && !(until_lost && total.lost != 0)) {
        for (auto& j : journals) j.start_writer();
        for (auto& j : journals) {
            j.wait_for_writer();
            ::usleep(random() % 1500);
            j.kill_writer();
        }
        for (auto& j : journals) {
            total.acknowledged += j.check();
            ++total.kills;
        }
        total.lost = 0;
        for (auto& j : journals) total.lost += j.lost();
    }
    total.lost = 0;
    for (auto& j : journals) {
        j.start_over();
        total.lost += j.lost();
    }
    return total;
}

} // namespace

TEST_CASE("if writers are killed at random moments, no acknowledged record is missing or torn") {
    auto all = plans(durability::dsync);
    for (plan const& p : plans(durability::group_commit)) all.push_back(p);
    unsigned const seed = std::random_device()();
    CAPTURE(seed);
    outcome const total = kill_writers(all, 36, false, seed);
    std::printf("%zu kills, %zu records acknowledged, %zu of them lost\n", total.kills, total.acknowledged, total.lost);
    CHECK(total.kills >= 500);
    CHECK(total.acknowledged >= total.kills);
    CHECK(total.lost == 0);
}

TEST_CASE("this test notices a writer that acknowledges before its write has completed") {
    outcome const total = kill_writers(plans(durability::none_yet), 200, true, 7);
    CHECK(total.lost != 0);
}
