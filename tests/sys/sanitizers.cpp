// What the tools then report, and what they don't, is in tests/tools.
#include <kaio/sys/sanitizers.hpp>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/uio.h>

#include "support/catch.hpp"

namespace {

// Whether Valgrind's libraries are in this process, which needs /proc.
bool valgrind_is_mapped() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find("vgpreload") != std::string::npos) return true;
    return false;
}

kaio::iocb request(kaio::opcode what, const void* memory, std::uint64_t size) {
    kaio::iocb block{};
    block.aio_lio_opcode = static_cast<std::uint16_t>(what);
    block.aio_buf = reinterpret_cast<std::uintptr_t>(memory);
    block.aio_nbytes = size;
    return block;
}

} // namespace

TEST_CASE("a program is never wrong to think that Valgrind runs it") {
    CHECK((!kaio::sanitizers::under_valgrind() || valgrind_is_mapped()));
#if defined(__x86_64__)
    CHECK((kaio::sanitizers::under_valgrind() || !valgrind_is_mapped()));
#endif
}

TEST_CASE("good requests and their events are not changed, and nothing is reported") {
    using kaio::opcode;
    std::vector<char> memory(100, 'x');
    iovec const pieces[] = {{memory.data(), 30}, {memory.data() + 30, 0}, {memory.data() + 30, 70}};
    for (kaio::iocb block :
         {request(opcode::pread, memory.data(), 100), request(opcode::pwrite, memory.data(), 100),
          request(opcode::preadv, pieces, 3), request(opcode::pwritev, pieces, 3), request(opcode::fsync, nullptr, 0),
          request(opcode::fdsync, nullptr, 0), request(opcode::poll, reinterpret_cast<void*>(1), 0)}) {
        kaio::iocb const before = block;
        kaio::sanitizers::submitting(&block);
        kaio::io_event event{7, reinterpret_cast<std::uintptr_t>(&block), 50, 0};
        kaio::sanitizers::completed(&event);
        CHECK(std::memcmp(&block, &before, sizeof block) == 0);
        CHECK(event.data == 7);
        CHECK(event.request() == &block);
        CHECK(event.res == 50);
    }
    CHECK(memory == std::vector<char>(100, 'x'));
}

#if defined(KAIO_ASAN) || defined(KAIO_MSAN)
TEST_CASE("the memory that a request names is visited piece by piece, up to the limit") {
    using kaio::opcode;
    char memory[100];
    iovec const pieces[] = {{memory, 30}, {memory + 50, 40}};
    auto const visited = [](const kaio::iocb& block, std::uint64_t limit) {
        std::vector<std::pair<char*, std::size_t>> found;
        kaio::sanitizers::for_each_buffer(block, limit, [&](char* data, std::size_t n) { found.push_back({data, n}); });
        return found;
    };
    using visits = std::vector<std::pair<char*, std::size_t>>;
    CHECK(visited(request(opcode::pread, memory, 100), UINT64_MAX) == visits{{memory, 100}});
    CHECK(visited(request(opcode::pwrite, memory, 100), 60) == visits{{memory, 60}});
    CHECK(visited(request(opcode::preadv, pieces, 2), UINT64_MAX) == visits{{memory, 30}, {memory + 50, 40}});
    CHECK(visited(request(opcode::pwritev, pieces, 2), 35) == visits{{memory, 30}, {memory + 50, 5}});
    CHECK(visited(request(opcode::pwritev, pieces, 2), 30) == visits{{memory, 30}});
    CHECK(visited(request(opcode::fsync, memory, 100), UINT64_MAX).empty());
    CHECK(visited(request(opcode::poll, memory, 100), UINT64_MAX).empty());
}
#endif
