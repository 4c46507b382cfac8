#include <kaio/sim/file.hpp>

#include <cstddef>
#include <span>

#include "support/catch.hpp"
#include "worlds.hpp"

using test::ask;
using test::bytes;

TEST_CASE("broken ranges fail until they are mended, and corruption stays") {
    kaio::sim::world world(10);
    auto const file = world.open("file");
    auto buffer = bytes(4096, 'x');
    test::simulated_loop loop(16, {}, world);
    CHECK(ask(loop, kaio::write(file, buffer, 0)).bytes() == 4096);

    file.break_range(1000, 10);
    CHECK(ask(loop, kaio::read(file, buffer, 0)).bytes() == 1000);
    CHECK(ask(loop, kaio::read(file, buffer, 1000)).res() == -EIO);
    CHECK(ask(loop, kaio::write(file, buffer, 1009)).res() == -EIO);
    CHECK(ask(loop, kaio::read(file, buffer, 1010)).bytes() == 3086);
    file.mend();
    CHECK(ask(loop, kaio::read(file, buffer, 0)).bytes() == 4096);

    file.flip_bit(7, 3);
    CHECK(ask(loop, kaio::read(file, buffer, 0)).bytes() == 4096);
    CHECK(buffer[7] == (std::byte('x') ^ std::byte(8)));
}

TEST_CASE("what a test puts there is read, and the size is the end of it") {
    kaio::sim::world world(1);
    auto const file = world.open("file");
    CHECK(file.size() == 0);
    file.put(2, bytes(3, 'x'));
    CHECK(file.size() == 5);
    CHECK(file.content() == std::vector<std::byte>{{}, {}, std::byte('x'), std::byte('x'), std::byte('x')});
    file.resize(3);
    file.resize(4);
    CHECK(file.content() == std::vector<std::byte>{{}, {}, std::byte('x'), {}});

    test::simulated_loop loop(4, {}, world);
    auto buffer = bytes(10, '?');
    CHECK(ask(loop, kaio::read(file, buffer, 0)).bytes() == 4);
    CHECK(std::vector<std::byte>(buffer.begin(), buffer.begin() + 4) == file.content());
}

TEST_CASE("what a test puts there survives a power loss, with all writes before it") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        kaio::sim::world world(seed);
        auto const file = world.open("file");
        {
            test::simulated_loop loop(4, {}, world);
            auto written = bytes(1024, 'w');
            REQUIRE(ask(loop, kaio::write(file, written, 0)).bytes() == 1024);
            file.put(2048, bytes(512, 'p'));
            world.crash();
        }
        auto expected = bytes(2560, 0);
        std::fill_n(expected.begin(), 1024, std::byte('w'));
        std::fill_n(expected.begin() + 2048, 512, std::byte('p'));
        REQUIRE(file.content() == expected);
    }
}

TEST_CASE("copies name the same file, and so does its name") {
    kaio::sim::world world(1);
    kaio::sim::file const file = world.open("file");
    kaio::sim::file const copy = file;
    copy.put(0, bytes(1, 'x'));
    CHECK(file.size() == 1);
    CHECK(copy.fd() == file.fd());
    CHECK(world.open("file").fd() == file.fd());
}
