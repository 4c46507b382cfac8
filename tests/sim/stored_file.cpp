#include "support/catch.hpp"

#include <set>
#include <string>

#include <kaio/sim/detail/stored_file.hpp>

namespace {

using kaio::sim::random_source;
using kaio::sim::detail::stored_file;

constexpr std::size_t sector = stored_file::sector;

void write(stored_file& file, std::uint64_t offset, std::size_t size, char byte, bool synced = false) {
    std::string const bytes(size, byte);
    file.write(offset, reinterpret_cast<const std::byte*>(bytes.data()), size, synced);
}

std::string content(const stored_file& file) {
    std::string bytes(static_cast<std::size_t>(file.size()), '?');
    CHECK(file.read(0, reinterpret_cast<std::byte*>(bytes.data()), bytes.size()) == bytes.size());
    return bytes;
}

// Returns what crashes with many seeds leave of the file that `make` fills: a letter for each sector, '.' for a mixed
// one.
template <class Make> std::set<std::string> outcomes(Make make, std::uint64_t seeds = 2000) {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        stored_file file;
        random_source chance(seed);
        make(file, chance);
        file.crash(chance);
        std::string const bytes = content(file);
        std::string letters;
        for (std::size_t at = 0; at < bytes.size(); at += sector) {
            std::string const part = bytes.substr(at, sector);
            letters += part.find_first_not_of(part[0]) != std::string::npos ? '.' : part[0] == '\0' ? '0' : part[0];
        }
        seen.insert(letters);
    }
    return seen;
}

} // namespace

TEST_CASE("a file is a sequence of bytes, with zeros where nothing was written") {
    stored_file file;
    std::byte buffer[10];
    CHECK(file.read(0, buffer, 10) == 0);
    write(file, 10'000, 3, 'x');
    CHECK(file.size() == 10'003);
    CHECK(content(file) == std::string(10'000, '\0').append("xxx"));
    CHECK(file.read(10'001, buffer, 10) == 2);
    CHECK(file.read(10'003, buffer, 10) == 0);
    CHECK(file.read(UINT64_MAX, buffer, 10) == 0);
    write(file, 4090, 10, 'y'); // over the edge of a page
    CHECK(content(file).substr(4089, 12) == std::string(1, '\0') + std::string(10, 'y') + std::string(1, '\0'));

    file.resize(4091);
    CHECK(content(file) == std::string(4090, '\0').append("y"));
    file.resize(20'000); // the old bytes do not come back
    CHECK(content(file) == std::string(4090, '\0').append("y").append(20'000 - 4091, '\0'));
}

TEST_CASE("synced bytes survive whole, and others survive in every mixture of sectors") {
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              file.sync(file.position());
          }) == std::set<std::string>{"aa"});
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              file.sync(file.position());
              write(file, 0, 2 * sector, 'b');
          }) == std::set<std::string>{"aa", "ab", "ba", "bb"});
    // Two writes that were never synced may reach the medium in any order, or one of them, or none.
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              file.sync(file.position());
              write(file, 0, 2 * sector, 'b');
              write(file, 0, 2 * sector, 'c');
          }) == std::set<std::string>{"aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"});
}

TEST_CASE("the size is lost or kept independently of the bytes") {
    CHECK(outcomes([](stored_file& file, random_source&) { write(file, 0, 2 * sector, 'a'); }) ==
          std::set<std::string>{"", "aa", "a0", "0a", "00"});
}

TEST_CASE("a sync covers only the writes before its position") {
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, sector, 'a');
              std::uint64_t const position = file.position();
              write(file, 0, sector, 'b');
              file.sync(position);
          }) == std::set<std::string>{"a", "b"});
}

TEST_CASE("a dsync write survives, and no older write to its sectors replaces it") {
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              write(file, 0, sector, 'b', true);
          }) == std::set<std::string>{"b", "ba", "b0"});
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, sector, 'a', true);
              write(file, 0, sector, 'b');
          }) == std::set<std::string>{"a", "b"});
}

TEST_CASE("a sector is written whole or not at all, also by writes to a part of it") {
    auto const seen = outcomes([](stored_file& file, random_source&) {
        write(file, 0, sector, 'a');
        file.sync(file.position());
        write(file, 0, sector / 2, 'b');
        write(file, sector / 2, sector / 2, 'b');
    });
    CHECK(seen == std::set<std::string>{"a", ".", "b"});
}

TEST_CASE("a sync that failed may have lost what it covered, and a later one does not bring it back") {
    stored_file file;
    CHECK(outcomes([](stored_file& file, random_source& chance) {
              write(file, 0, sector, 'a', true);
              write(file, 0, sector, 'b');
              file.fail_sync(file.position(), chance);
              CHECK(content(file) == std::string(sector, 'b')); // while the power is on, reads see it
              file.sync(file.position());
          }) == std::set<std::string>{"a", "b"});
}

TEST_CASE("a truncation is seen at once, survives a sync, and before that is done or undone") {
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 3 * sector, 'a');
              file.sync(file.position());
              file.truncate(sector);
              CHECK(file.size() == sector);
          }) == std::set<std::string>{"aaa", "a"});
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 3 * sector, 'a');
              file.truncate(sector);
              file.sync(file.position());
          }) == std::set<std::string>{"a"});
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              file.sync(file.position());
              file.truncate(0);
              file.truncate(2 * sector);
          }) == std::set<std::string>{"aa", "", "00"});
    // What was cut off does not come back when the file grows again.
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              file.truncate(0);
              file.truncate(2 * sector);
              file.sync(file.position());
          }) == std::set<std::string>{"00"});
}

TEST_CASE("a write behind a truncation survives with it or without it") {
    CHECK(outcomes([](stored_file& file, random_source&) {
              write(file, 0, 2 * sector, 'a');
              file.sync(file.position());
              file.truncate(0);
              write(file, 0, sector, 'b', true);
          }) == std::set<std::string>{"ba", "b"});
}

TEST_CASE("very many writes that are never synced take a bounded amount of memory") {
    auto const seen = outcomes(
        [](stored_file& file, random_source&) {
            write(file, 0, sector, 'a');
            for (int i = 0; i < 5000; ++i) write(file, 0, sector, i == 4999 ? 'c' : 'b');
        },
        20);
    CHECK(seen == std::set<std::string>{"b", "c"});
}
