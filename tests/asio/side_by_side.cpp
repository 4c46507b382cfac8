// side_by_side kaio|asio FILE REQUESTS DEPTH: reads 4 KiB blocks of the file at random offsets, directly and DEPTH at a
// time, by kaio's files or by Asio's own, which need io_uring. The program is the same but for the name of the type. It
// prints what a request takes, and the sum of the first bytes of all blocks, which is the same for both.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/random_access_file.hpp>
#include <asio/use_awaitable.hpp>

#include <kaio/asio/random_access_file.hpp>
#include <kaio/io/aligned_buffer.hpp>

namespace {

constexpr std::size_t block = 4096;

template <class File>
asio::awaitable<std::uint64_t> read_blocks(File& file, std::uint64_t blocks, unsigned requests, unsigned seed) {
    std::minstd_rand random(seed);
    kaio::aligned_buffer buffer(block);
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < requests; ++i) {
        auto const bytes = asio::buffer(buffer.data(), block);
        co_await file.async_read_some_at(random() % blocks * block, bytes, asio::use_awaitable);
        sum += static_cast<unsigned char>(buffer.data()[0]);
    }
    co_return sum;
}

template <class File> void run(const std::string& path, unsigned requests, unsigned depth) {
    asio::io_context context(1);
    File file(context, path, File::read_only | static_cast<typename File::flags>(O_DIRECT));
    std::uint64_t const blocks = file.size() / block;
    std::uint64_t sum = 0;
    auto const start = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < depth; ++i)
        asio::co_spawn(context, read_blocks(file, blocks, requests / depth, i + 1),
                       [&](std::exception_ptr failure, std::uint64_t part) {
                           if (failure) std::rethrow_exception(failure);
                           sum += part;
                       });
    context.run();
    std::chrono::duration<double, std::micro> const time = std::chrono::steady_clock::now() - start;
    std::printf("sum %ju, %.2f us for a request\n", static_cast<std::uintmax_t>(sum), time.count() / requests);
}

} // namespace

int main(int argc, char** argv) {
    std::string const whose = argc == 5 ? argv[1] : "";
    auto const number = [&](int i) { return static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10)); };
    try {
        if (whose == "kaio") return run<kaio::random_access_file>(argv[2], number(3), number(4)), 0;
        if (whose == "asio") return run<asio::random_access_file>(argv[2], number(3), number(4)), 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
    std::fputs("usage: side_by_side kaio|asio FILE REQUESTS DEPTH\n", stderr);
    return 2;
}
