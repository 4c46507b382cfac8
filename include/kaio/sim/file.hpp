// file: a test's hold on a file of a simulated world.
//     kaio::sim::file file = world.open("log", {.direct = true});
//     loop.submit(kaio::read(file, buffer, 0), handler); // as a kaio::file
//     file.break_range(4096, 512);                       // from now on, EIO there
// It goes into requests as a kaio::file does. A test can also look at the content, and damage it. Copies name the same
// file. The world must outlive them. One thread at a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sim/detail/disk.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::sim {

class file {
public:
    // As of kaio::file. No other program knows the descriptor.
    int fd() const noexcept { return node_->fd; }
    bool direct() const noexcept { return node_->options.direct; }
    file_alignment alignment() const noexcept { return node_->options.alignment; }

    // They may be changed at any time. A change counts for what is submitted from then on.
    file_options& options() const noexcept { return node_->options; }

    // Empties its page cache (file_options::cached), which every write and read has filled.
    void evict() const noexcept { node_->cache.evict(); }

    // The size in bytes, as programs see it now.
    std::uint64_t size() const noexcept { return node_->content.size(); }

    // All bytes, as programs see them now.
    std::vector<std::byte> content() const {
        std::vector<std::byte> bytes(kaio::detail::narrow<std::size_t>(size()));
        node_->content.read(0, bytes.data(), bytes.size());
        return bytes;
    }

    // As of kaio::file, at once. A sync covers it, and power loss may undo it before that.
    // Errors: throws std::system_error (EINVAL, EIO by options::io_errors, ENOSPC by options::disk_size).
    void truncate(file_offset size) const { try_truncate(size).value("kaio: sim::file::truncate"); }
    result<void> try_truncate(file_offset size) const noexcept {
        if (int const error = node_->disk->truncate(*node_, size.value())) return failure(error);
        return {};
    }

    // These set a scene, without faults and past the reach of power loss: all writes so far are synced, and these too.
    void put(file_offset offset, std::span<const std::byte> bytes) const {
        node_->content.put(place(offset), bytes.data(), bytes.size());
    }
    void resize(file_offset size) const { node_->content.resize(place(size)); }

    // Flips a bit of what is stored: corruption that no error reports. REQUIRES: offset < size()
    void flip_bit(file_offset offset, unsigned bit = 0) const {
        std::uint64_t const damage = place(offset);
        assert(damage < size() && "kaio: a bit was flipped behind the end of a simulated file");
        std::byte damaged{};
        node_->content.read(damage, &damaged, 1);
        damaged ^= std::byte{1} << (bit & 7);
        node_->content.put(damage, &damaged, 1);
    }

    // From now on reads and writes of these bytes fail with EIO, and those that begin before them stop there, short.
    void break_range(file_offset offset, file_offset size) const {
        node_->broken.push_back({place(offset), place(size)});
    }
    // Undoes all calls of break_range.
    void mend() const noexcept { node_->broken.clear(); }

private:
    friend class world;
    explicit file(detail::node& node) noexcept : node_(&node) {}

    static std::uint64_t place(file_offset offset) noexcept {
        assert(offset.value() >= 0 && "kaio: an offset or size of a simulated file is negative");
        return static_cast<std::uint64_t>(offset.value());
    }

    detail::node* node_;
};
static_assert(truncatable_file<file>);

} // namespace kaio::sim
