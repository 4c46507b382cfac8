// docs/examples/replicated_log.hpp on three copies: one on what KAIO_MEDIUM names, a folder or a block device (whose
// content is lost), and two in the current folder. KAIO_STOP and KAIO_GO are shell commands that stop the medium and
// let it go on. Without them nothing hangs. tests/filesystems/run.py runs this on each medium that it can stop.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include "../../docs/examples/loop_thread.hpp"
#include "../../docs/examples/replicated_log.hpp"

#include <chrono>
#include <cstdlib>
#include <deque>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include <kaio/kaio.hpp>

namespace {

using namespace std::chrono_literals;
using real_log = replicated_log<kaio::loop>;

const char* set(const char* name) {
    const char* const value = std::getenv(name);
    return value ? value : "";
}

// The file of one copy.
class place {
public:
    explicit place(const std::string& folder_or_device) {
        struct stat status;
        REQUIRE(::stat(folder_or_device.c_str(), &status) == 0);
        if (S_ISBLK(status.st_mode))
            path_ = folder_or_device;
        else
            path_ = temporary_.emplace_back(std::size_t{0}, folder_or_device).path();
        if (S_ISBLK(status.st_mode)) { // no log is on it
            kaio::file const device = kaio::file::open(path_.c_str(), O_WRONLY);
            std::vector<char> const zeros(8 * real_log::block);
            REQUIRE(::pwrite(device.fd(), zeros.data(), zeros.size(), 0) == static_cast<ssize_t>(zeros.size()));
            REQUIRE(::fsync(device.fd()) == 0);
        }
    }
    const char* path() const { return path_.c_str(); }

private:
    std::deque<test::temporary_file> temporary_{};
    std::string path_{};
};

kaio::file open(const place& where) {
    auto direct = kaio::file::try_open(where.path(), O_RDWR | O_DIRECT);
    return direct ? std::move(*direct) : kaio::file::open(where.path(), O_RDWR); // for tmpfs
}

std::error_code append(kaio::loop& home, real_log& log, const std::string& record) {
    return kaio::sync_wait(home, log.append(std::as_bytes(std::span(record))));
}
std::vector<std::string> recover(kaio::loop& home, real_log& log) {
    std::vector<std::string> found;
    CHECK(kaio::sync_wait(home, log.recover([&](std::span<const std::byte> record) {
              found.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
          })) == std::error_code());
    return found;
}
bool gets_all(kaio::loop& home, const real_log& log, std::size_t copy) {
    for (int tries = 0; tries < 2000 && log.behind(copy) != 0; ++tries)
        kaio::sync_wait(home, [](kaio::loop& loop) -> kaio::task<> { (void)co_await loop.sleep_for(5ms); }(home));
    return log.behind(copy) == 0;
}

} // namespace

TEST_CASE("a log of three copies goes on while one hangs, and repairs it") {
    const char* const medium = *set("KAIO_MEDIUM") ? set("KAIO_MEDIUM") : ".";
    std::string const stop = set("KAIO_STOP"), go = set("KAIO_GO");
    place const places[] = {place(medium), place("."), place(".")};
    std::vector<std::string> records;
    for (int life = 0; life < 3; ++life) {
        std::vector<kaio::file> files;
        for (const place& each : places) files.push_back(open(each));
        std::deque<loop_thread> threads(3);
        kaio::loop home(8);
        real_log log(home, 7,
                     {{threads[0].loop(), files[0]}, {threads[1].loop(), files[1]}, {threads[2].loop(), files[2]}});
        CHECK(recover(home, log) == records);
        CHECK(gets_all(home, log, 0));
        bool const hangs = life == 1 && !stop.empty();
        if (hangs) REQUIRE(std::system(stop.c_str()) == 0);
        std::int64_t const begin = kaio::linux_kernel::now();
        for (int i = 0; i < 50; ++i) {
            records.push_back("record " + std::to_string(records.size()) + std::string(1000, 'r'));
            CHECK(append(home, log, records.back()) == std::error_code());
        }
        CHECK(kaio::linux_kernel::now() - begin < 5'000'000'000); // it waits for no limit
        if (hangs) {
            CHECK(log.behind(0) >= 40);
            REQUIRE(std::system(go.c_str()) == 0);
        }
        for (std::size_t i = 0; i < 3; ++i) CHECK(gets_all(home, log, i));
    }
}
