// Each limit that can deny memory to a process is reached for real, in a child, and the error names it.
#include "support/catch.hpp"
#include "support/child.hpp"

#include <cerrno>
#include <fstream>
#include <initializer_list>
#include <new>
#include <string>

#include <sys/mman.h>
#include <sys/resource.h>

#include <kaio/kaio.hpp>

namespace {

#if defined(KAIO_ASAN) || defined(KAIO_TSAN)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

bool has(const std::string& text, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
        if (text.find(part) == std::string::npos) {
            std::fprintf(stderr, "expected \"%s\" in: %s\n", part, text.c_str());
            return false;
        }
    return true;
}

template <class Make> std::string thrown(Make make) {
    try {
        make();
    } catch (const std::system_error& error) {
        return error.what();
    } catch (const std::bad_alloc&) {
        return "not even for the text";
    }
    return "nothing";
}

template <class T> bool names(const kaio::result<T>& made, std::initializer_list<const char*> parts) {
    return !made && made.error().value() == ENOMEM && made.error() == std::errc::not_enough_memory &&
           has(made.error().message(), parts);
}

bool limit(decltype(RLIMIT_AS) which, rlim_t bytes) {
    rlimit now;
    if (::getrlimit(which, &now) != 0) return false;
    now.rlim_cur = bytes;
    return ::setrlimit(which, &now) == 0;
}

rlim_t kib_of(const char* label) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.rfind(label, 0) == 0) return std::stoul(line.substr(std::string(label).size()));
    return 0;
}

constexpr std::size_t much = 64 << 20;

} // namespace

TEST_CASE("the errors of a buffer and a pool name the precondition that failed") {
    std::size_t const huge = static_cast<std::size_t>(-1) / 3;
    CHECK(has(thrown([] { kaio::aligned_buffer(10, 48); }), {"alignment must be a power of two, and 48 is none"}));
    CHECK(has(thrown([] { kaio::aligned_buffer(10, 0); }), {"power of two, and 0 is none"}));
    CHECK(
        has(thrown([&] { kaio::aligned_buffer(2 * huge, 512); }), {std::to_string(2 * huge).c_str(), "address space"}));
    CHECK(has(thrown([] { kaio::buffer_pool(0, 10); }), {"buffer_pool: the count is 0"}));
    CHECK(has(thrown([] { kaio::buffer_pool(10, 0); }), {"buffer_pool: the size is 0"}));
    CHECK(has(thrown([] { kaio::buffer_pool(10, 10, 24); }), {"power of two, and 24 is none"}));
    CHECK(has(thrown([&] { kaio::buffer_pool(10, huge); }), {"buffer_pool: 10 buffers of", "address space"}));

    CHECK(kaio::aligned_buffer::try_make(10, 48).error() == std::errc::invalid_argument);
    CHECK(has(kaio::aligned_buffer::try_make(10, 48).error().message(), {"power of two"}));
    CHECK(has(kaio::buffer_pool::try_make(0, 10).error().message(), {"1 or more"}));
    CHECK(kaio::pool_error_text(EINVAL, 0, 10, 4096) == "kaio: buffer_pool: the count is 0; ask for 1 or more");
}

TEST_CASE("without an error the text is empty") {
    CHECK(!kaio::aligned_buffer::try_make(10).error());
    CHECK(!kaio::context::try_make(1).error());
}

TEST_CASE("beyond RLIMIT_AS the errors of a buffer, a pool, a context and a loop name it") {
    if (sanitized) SKIP_TEST("a sanitizer needs the address space");
    CHECK(test::in_child([] {
              rlim_t const there = kib_of("VmSize:") << 10;
              if (!limit(RLIMIT_AS, there + (4 << 20))) return 1;
              auto const parts = {"RLIMIT_AS", "ulimit -v", "KiB"};
              if (!has(thrown([] { kaio::aligned_buffer buffer(much); }), {"no memory for 67112960 bytes"})) return 2;
              if (!has(thrown([] { kaio::aligned_buffer buffer(much); }), parts)) return 3;
              if (!has(thrown([] { kaio::buffer_pool pool(much / 4096, 4096); }), parts)) return 4;
              if (!limit(RLIMIT_AS, there + (256 << 10))) return 5;
              if (!names(kaio::aligned_buffer::try_make(much), parts)) return 6;
              if (!names(kaio::buffer_pool::try_make(much / 4096, 4096), parts)) return 7;
              // A loop may also find that the quota is too small, which is not a limit of this process.
              auto const loop = kaio::loop::try_make(8192);
              if (!loop && loop.error().value() == EAGAIN) return 0;
              if (!names(loop, parts)) return 8;
              if (!has(thrown([] { kaio::loop made(8192); }), parts)) return 9;
              return 0;
          }) == 0);
}

TEST_CASE("beyond RLIMIT_DATA the errors of a buffer and a pool name it") {
    if (sanitized) SKIP_TEST("a sanitizer needs the memory");
    int const status = test::in_child([] {
        if (!limit(RLIMIT_DATA, (kib_of("VmData:") << 10) + (4 << 20))) return 1;
        auto const parts = {"RLIMIT_DATA", "ulimit -d", "KiB"};
        auto const pool = kaio::buffer_pool::try_make(much / 4096, 4096);
        if (pool) return 200;
        if (!names(pool, parts)) return 2;
        if (!has(thrown([] { kaio::buffer_pool made(much / 4096, 4096); }), parts)) return 3;
        return has(thrown([] { kaio::aligned_buffer buffer(much); }), parts) ? 0 : 4;
    });
    if (status == 200) SKIP_TEST("before Linux 4.7 mappings don't count against RLIMIT_DATA");
    CHECK(status == 0);
}

TEST_CASE("beyond RLIMIT_MEMLOCK the error tells a process that locks all its memory") {
    if (sanitized) SKIP_TEST("a sanitizer has too much memory to lock");
    int const status = test::in_child([] {
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 200; // root may lock any amount
        if (!limit(RLIMIT_MEMLOCK, 64 << 10)) return 1;
        if (::mlockall(MCL_FUTURE) != 0) return 201;
        auto const parts = {"mlockall", "RLIMIT_MEMLOCK", "ulimit -l", "64 KiB"};
        if (!names(kaio::buffer_pool::try_make(much / 4096, 4096), parts)) return 2;
        if (!has(thrown([] { kaio::aligned_buffer buffer(much); }), parts)) return 3;
        auto const context = kaio::context::try_make(8192);
        if (!context && context.error().value() == EAGAIN) return 0; // the quota
        return names(context, parts) ? 0 : 4;
    });
    if (status >= 200) SKIP_TEST("this process may not drop the privilege of locking memory, or may not lock any");
    CHECK(status == 0);
}

TEST_CASE("when vm.max_map_count is reached the errors of a pool, a context and a loop name it, and not before") {
    if (sanitized) SKIP_TEST("a sanitizer needs its own mappings");
    long most = 0;
    std::ifstream("/proc/sys/vm/max_map_count") >> most;
    if (most == 0 || most > 200'000) SKIP_TEST("vm.max_map_count is too large to reach");
    CHECK(test::in_child([&] {
              if (kaio::detail::memory_limit(4096)) return 1;
              std::size_t const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
              // Neighbours with different rights don't become one mapping.
              long made = 0;
              for (; made < most; ++made)
                  if (::mmap(nullptr, page, made % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                      MAP_FAILED)
                      break;
              if (made == most) return 2;
              auto const parts = {"memory mappings", "vm.max_map_count = ", "sysctl -w vm.max_map_count="};
              if (!names(kaio::buffer_pool::try_make(1000, 4096), parts)) return 3;
              if (!has(thrown([] { kaio::buffer_pool pool(1000, 4096); }), parts)) return 4;
              if (!names(kaio::context::try_make(16), parts)) return 5;
              if (!has(thrown([] { kaio::loop loop(16); }), parts)) return 6;
              return has(thrown([] { kaio::aligned_buffer buffer(much); }), parts) ? 0 : 7;
          }) == 0);
}

TEST_CASE("the error of asking for more than memory and swap names that cause") {
    int mode = -1;
    std::ifstream("/proc/sys/vm/overcommit_memory") >> mode;
    if (mode != 0 || sizeof(void*) == 4) SKIP_TEST("this kernel promises any memory, or the address space is smaller");
    if (sanitized) SKIP_TEST("a sanitizer has its own allocator");
    auto const more = static_cast<std::size_t>(1) << (sizeof(void*) == 4 ? 30 : 44);
    CHECK(has(thrown([=] { kaio::aligned_buffer buffer(more); }), {"were asked for, and the machine has", "swap"}));
    CHECK(has(thrown([=] { kaio::buffer_pool pool(16, more / 16); }), {"were asked for, and the machine has", "swap"}));
}

TEST_CASE("with vm.overcommit_memory = 2 the error names the common limit of all processes") {
    int mode = 0;
    std::ifstream("/proc/sys/vm/overcommit_memory") >> mode;
    if (mode != 2) SKIP_TEST("vm.overcommit_memory is not 2, and setting it would disturb every process");
    if (sanitized) SKIP_TEST("a sanitizer needs the address space");
    auto const made = kaio::buffer_pool::try_make(1024, std::size_t{1} << (sizeof(void*) == 8 ? 34 : 20));
    if (made) SKIP_TEST("this machine can promise that much");
    CHECK(has(made.error().message(), {"CommitLimit", "vm.overcommit"}));
}

TEST_CASE("if no limit explains the error, the text says so, with the remedy") {
    char text[512];
    kaio::detail::write_memory_cause(text, sizeof text, 4096);
    CHECK(has(text, {"no limit of this process explains it", "container"}));
}
