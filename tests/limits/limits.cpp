// What the system refuses. Each refusal is a clear error, nothing leaks, and everything works again when there is room.
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/temporary_file.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <new>
#include <span>
#include <string>

#include <sys/resource.h>

#include <kaio/kaio.hpp>

namespace {

long number_in(const char* path) {
    long number = -1;
    std::ifstream(path) >> number;
    return number;
}

// The number of contexts of this process: each has its own mapping.
int contexts() {
    std::ifstream maps("/proc/self/maps");
    int count = 0;
    for (std::string line; std::getline(maps, line);) count += line.find("[aio]") != line.npos;
    return count;
}

// Another process that takes all but `left` requests of fs.aio-max-nr while this object lives.
class hoarder {
public:
    explicit hoarder(long left) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            kaio::aio_context_id id[8] = {};
            char done = 'n';
            for (auto& each : id) {
                long const free = number_in("/proc/sys/fs/aio-max-nr") - number_in("/proc/sys/fs/aio-nr") - left;
                if (free <= 0) done = 'y';
                if (free <= 0 ||
                    kaio::linux_kernel::io_setup(static_cast<unsigned>(std::min(free, 1'000'000l)), &each) < 0)
                    break;
            }
            (void)!::write(ends[1], &done, 1);
            for (;;) ::pause();
        }
        char done = 'n';
        taken_ = ::read(ends[0], &done, 1) == 1 && done == 'y';
        ::close(ends[0]);
        ::close(ends[1]);
    }
    ~hoarder() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    explicit operator bool() const { return taken_; }

private:
    pid_t pid_;
    bool taken_ = false;
};

std::string message_of_a_loop(unsigned capacity) {
    try {
        kaio::loop loop(capacity);
    } catch (const std::system_error& error) {
        return error.what();
    }
    return "none";
}

int reads(kaio::loop& loop, int fd, int count) {
    char buffer[64];
    int good = 0;
    for (int i = 0; i < count; ++i)
        loop.submit(kaio::read(fd, buffer, 0), [&](kaio::io_result r) { good += r.bytes() == 64; });
    loop.run();
    return good;
}

#if defined(KAIO_ASAN) || defined(KAIO_TSAN)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

} // namespace

TEST_CASE("when another process uses up fs.aio-max-nr, the error has figures and remedy, and a smaller loop works") {
    std::string message;
    unsigned capacity = 0;
    int good = 0;
    std::error_code error;
    std::string words;
    {
        test::temporary_file file(4096);
        hoarder const other(20); // only for a few milliseconds, because others may need contexts too
        if (!other) SKIP_TEST("fs.aio-max-nr is too large to use up, or other processes were faster");
        message = message_of_a_loop(10'000);
        error = kaio::loop::try_make(10'000).error();
        words = error.message();
        if (auto modest = kaio::loop::try_make(64, {.setup = {.at_least = 1}})) {
            capacity = modest->capacity();
            good = reads(*modest, file.fd(), 100);
        }
    }
    CHECK(error.value() == EAGAIN);
    CHECK(error == std::errc::resource_unavailable_try_again);
    CHECK_THAT(words,
               test::ContainsSubstring("sysctl -w fs.aio-max-nr=") &&
                   test::ContainsSubstring("fs.aio-max-nr = " + std::to_string(number_in("/proc/sys/fs/aio-max-nr"))));
    CHECK_THAT(message,
               test::ContainsSubstring("io_setup(10000)") && test::ContainsSubstring("sysctl -w fs.aio-max-nr=") &&
                   test::ContainsSubstring("fs.aio-max-nr = " + std::to_string(number_in("/proc/sys/fs/aio-max-nr"))) &&
                   test::ContainsSubstring("fs.aio-nr (in use) = "));
    CHECK(capacity >= 1);
    CHECK(capacity < 64);
    CHECK(good == 100);
    CHECK(kaio::loop(10'000).capacity() == 10'000);
}

TEST_CASE("without a free descriptor a loop works, and opening a file and posting return EMFILE") {
    test::temporary_file file(4096);
    CHECK(test::in_child([&] {
              rlimit const none{0, 64};
              if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
              kaio::loop loop(8);
              if (reads(loop, file.fd(), 100) != 100) return 2;
              if (kaio::file::try_open(file.path().c_str(), O_RDONLY).error().value() != EMFILE) return 3;
              // Waking a loop needs a descriptor. Without one, try_post() returns the error and posts nothing.
              int posted = 0;
              if (loop.try_post([&] { posted += 100; }).error().value() != EMFILE) return 4;
              loop.run();
              rlimit const more{64, 64};
              if (::setrlimit(RLIMIT_NOFILE, &more) != 0) return 6;
              loop.post([&] { ++posted; });
              loop.run();
              return posted == 1 ? 0 : 5;
          }) == 0);
}

TEST_CASE("for every amount of memory that is too small a loop is ENOMEM, and nothing leaks") {
    if (sanitized) SKIP_TEST("a sanitizer needs the address space");
    test::temporary_file file(4096);
    CHECK(test::in_child([&] {
              constexpr unsigned capacity = 4096;
              std::size_t const start = static_cast<std::size_t>([] {
                  long pages = 0;
                  std::ifstream("/proc/self/statm") >> pages;
                  return pages * ::sysconf(_SC_PAGESIZE);
              }());
              auto const set_limit = [&](std::size_t more) {
                  rlimit limit;
                  ::getrlimit(RLIMIT_AS, &limit);
                  limit.rlim_cur = start + more;
                  return ::setrlimit(RLIMIT_AS, &limit) == 0;
              };
              constexpr std::size_t step = 64 << 10;
              std::size_t enough = 0;
              for (int round = 0; round < 4; ++round) {
                  int refused = 0;
                  for (std::size_t more = 0; round == 0 ? enough == 0 : more < enough; more += step) {
                      if (!set_limit(more)) return 1;
                      auto const made = kaio::loop::try_make(capacity);
                      if (made && round != 0) return 2; // this time less was enough
                      if (made) {
                          enough = more;
                          continue;
                      }
                      ++refused;
                      if (made.error().value() != ENOMEM) return 3;
                      try {
                          kaio::loop loop(capacity);
                          return 4;
                      } catch (const std::system_error& error) {
                          if (error.code().value() != ENOMEM) return 5;
                          if (std::string(error.what()).find("memory") == std::string::npos) return 6;
                      } catch (const std::bad_alloc&) {
                          return 12; // no memory for the text
                      }
                  }
                  // The ring, the two arrays and the operations are each refused once.
                  if (refused < 5) return 7;
              }
              if (!set_limit(enough + step)) return 8;
              auto last = kaio::loop::try_make(capacity);
              if (!last) return 9; // something has leaked
              // More requests than there is memory for: submitting returns an error, and accepted requests complete.
              char buffer[64];
              int taken = 0, good = 0, error = 0;
              while (error == 0) {
                  auto const answer = last->try_submit(kaio::read(file.fd(), buffer, 0),
                                                       [&](kaio::io_result r) { good += r.bytes() == 64; });
                  error = answer.error().value();
                  taken += error == 0;
              }
              last->run();
              if (error != ENOMEM || taken < 4096 || good != taken) return 10;
              return reads(*last, file.fd(), 4096) == 4096 ? 0 : 11; // now there is room again
          }) == 0);
    CHECK(contexts() == 0);
}
