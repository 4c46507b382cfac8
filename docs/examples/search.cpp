// A search in a vector index that lies in a file: each step reads the blocks of the most promising nodes as one batch,
// and waits for all of it. The index is a graph: a node's block has its vector, and the numbers of its neighbours.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/submit_and_wait.hpp>

constexpr std::uint32_t side = 32; // a grid of vectors, so that the right answer is known
constexpr std::size_t block_size = 4096, width = 8;

struct node {
    float vector[2];
    std::uint32_t neighbours[4];
};

float distance(const float (&a)[2], const float (&b)[2]) {
    return (a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]);
}

void write_index(const kaio::file& file) {
    static char block[block_size];
    for (std::uint32_t number = 0; number < side * side; ++number) {
        std::uint32_t const x = number % side, y = number / side;
        node const made{{float(x), float(y)},
                        {x > 0 ? number - 1 : number, x + 1 < side ? number + 1 : number,
                         y > 0 ? number - side : number, y + 1 < side ? number + side : number}};
        std::copy_n(reinterpret_cast<const char*>(&made), sizeof made, block);
        if (::pwrite(file.fd(), block, block_size, off_t(number * block_size)) != block_size) std::abort();
    }
}

int main() {
    kaio::file const file = kaio::file::open("index", O_RDWR | O_CREAT | O_TRUNC, 0644);
    write_index(file);

    kaio::context context(width);
    kaio::aligned_buffer buffer(width * block_size);
    std::array<kaio::iocb, width> blocks;
    std::array<kaio::iocb*, width> batch;
    std::array<kaio::io_event, width> events;

    float const wanted[2] = {20.2f, 9.7f};
    using candidate = std::pair<float, std::uint32_t>; // an estimate of its distance, its number
    std::set<candidate> to_read{{0.0f, 0}};
    std::set<std::uint32_t> seen{0};
    candidate best{1e9f, 0};
    int batches = 0;
    for (bool better = true; better; ++batches) {
        std::size_t count = 0;
        for (; count < width && !to_read.empty(); ++count) {
            std::uint32_t const number = to_read.extract(to_read.begin()).value().second;
            kaio::view<std::byte> const bytes = buffer.storage().subspan(count * block_size, block_size);
            blocks[count] = kaio::read(file, bytes, number * block_size);
            blocks[count].aio_data = number;
            batch[count] = &blocks[count];
        }
        kaio::submit_and_wait(context, {batch.data(), count}, events).value("search");

        better = false;
        for (std::size_t i = 0; i < count; ++i) {
            if (events[i].result().value("read index") != block_size) return 1;
            auto const& read = *reinterpret_cast<const node*>(buffer.data() + i * block_size);
            candidate const found{distance(read.vector, wanted), std::uint32_t(events[i].data)};
            better = better || found < best;
            best = std::min(best, found);
            for (std::uint32_t const next : read.neighbours)
                if (seen.insert(next).second) to_read.insert({found.first, next});
        }
    }
    std::printf("the nearest is number %u, after %d batches\n", best.second, batches);
    return best.second == 10 * side + 20 ? 0 : 1;
}
