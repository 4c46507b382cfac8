// file: a test's hold on a file of a simulated world. Programs take it as they take a kaio::file: it has fd(), direct()
// and alignment(). Beyond that it looks at the content and harms it. Copies name the same file; the world must outlive
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <kaio/io/file.hpp>
#include <kaio/sim/disk.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::sim {

class file {
public:
    int fd() const noexcept { return node_->fd; }
    bool direct() const noexcept { return node_->options.direct; }
    file_alignment alignment() const noexcept { return node_->options.alignment; }

    // Bytes, as programs see it now.
    std::uint64_t size() const noexcept { return node_->content.size(); }

    // All bytes, as programs see them now.
    std::vector<std::byte> content() const {
        std::vector<std::byte> bytes(kaio::detail::narrow<std::size_t>(size()));
        node_->content.read(0, bytes.data(), bytes.size());
        return bytes;
    }

    // Sets a scene, past all faults and for good: what was pending is synced, and what these do is too.
    void put(std::uint64_t offset, std::span<const std::byte> bytes) const {
        node_->content.put(offset, bytes.data(), bytes.size());
    }
    void resize(std::uint64_t size) const { node_->content.resize(size); }

    // Flips a bit of what is stored, for good: corruption that no error tells of. REQUIRES: offset < size()
    void flip_bit(std::uint64_t offset, unsigned bit = 0) const {
        std::byte damaged{};
        node_->content.read(offset, &damaged, 1);
        damaged ^= std::byte{1} << (bit & 7);
        node_->content.put(offset, &damaged, 1);
    }

    // From now on reads and writes of these bytes give EIO, and those that begin before them end there, short.
    void break_range(std::uint64_t offset, std::uint64_t size) const { node_->broken.push_back({offset, size}); }
    // No range is broken any more.
    void mend() const noexcept { node_->broken.clear(); }

private:
    friend class world;
    explicit file(detail::node& node) noexcept : node_(&node) {}

    detail::node* node_;
};

} // namespace kaio::sim
