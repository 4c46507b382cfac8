// stored_file: what programs see of a file, what is certainly on the medium, and the writes between the two in their
// order. A sync moves the first of them to the medium. Power loss leaves each sector as it was after any one of them,
// whatever its neighbours are, and the file as long as any of them made it. Truncations are done or undone likewise.
// One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <utility>

#include <kaio/sim/detail/sparse_bytes.hpp>
#include <kaio/sim/random_source.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::sim::detail {

class stored_file {
public:
    static constexpr std::size_t sector = 512; // bytes, which are written together or not at all

    std::uint64_t size() const noexcept { return seen_.size(); }

    // True if any of these bytes was never written, as far as pages tell.
    bool has_hole(std::uint64_t offset, std::size_t size) const noexcept { return seen_.has_hole(offset, size); }

    // Returns the number of bytes read: fewer than `size` at the end of the file, 0 behind it.
    std::size_t read(std::uint64_t offset, std::byte* data, std::size_t size) const noexcept {
        if (offset >= seen_.size()) return 0;
        size = static_cast<std::size_t>(std::min<std::uint64_t>(size, seen_.size() - offset));
        seen_.read(offset, data, size);
        return size;
    }

    // `synced`: the bytes are on the medium when this returns, as with RWF_DSYNC.
    void write(std::uint64_t offset, const std::byte* data, std::size_t size, bool synced) {
        if (size == 0) return;
        seen_.write(offset, data, size);
        auto copy = std::make_unique_for_overwrite<std::byte[]>(size);
        std::memcpy(copy.get(), data, size);
        add({offset, size, std::move(copy), synced});
    }

    // What a program does to the size: cuts the file, or lengthens it with zeros. Power loss may undo it.
    void truncate(std::uint64_t size) {
        seen_.resize(size);
        add({size, 0, nullptr, false});
    }

    // The number of writes and truncations so far.
    std::uint64_t position() const noexcept { return first_ + pending_.size(); }

    // Moves the writes before `position` to the medium.
    void sync(std::uint64_t position) {
        while (first_ < position && !pending_.empty()) {
            change const& done = pending_.front();
            if (done.truncates())
                stored_.resize(done.end());
            else
                stored_.write(done.offset, done.data.get(), done.size);
            pop();
        }
    }

    // A sync that failed: any part of the writes before `position` may have reached the medium. No later sync moves the
    // rest there, because the kernel takes those pages for clean. Programs still see them all.
    void fail_sync(std::uint64_t position, random_source& random) {
        if (position > first_) settle(kaio::detail::narrow<std::size_t>(position - first_), random);
    }

    // Power loss: from then on programs see what reached the medium.
    void crash(random_source& random) {
        settle(pending_.size(), random);
        seen_ = stored_;
    }

    // These change what programs see and what is on the medium, to set a scene.
    void resize(std::uint64_t size) {
        sync(position());
        seen_.resize(size);
        stored_.resize(size);
    }
    void put(std::uint64_t offset, const std::byte* data, std::size_t size) {
        sync(position());
        seen_.write(offset, data, size);
        stored_.write(offset, data, size);
    }

private:
    static constexpr std::size_t most_pending = 4096;

    struct change {
        std::uint64_t offset;
        std::size_t size; // 0: it sets the file's size to `offset`
        std::unique_ptr<std::byte[]> data;
        bool synced;
        std::uint64_t end() const noexcept { return offset + size; }
        bool truncates() const noexcept { return size == 0; }
    };

    // For a sector: the number of its changes, and how many of them power loss keeps.
    struct history {
        std::uint64_t changes = 0;
        std::uint64_t synced = 0; // the last change that is certainly on the medium, or 0
        std::uint64_t kept = 0;
        void add(bool is_synced) noexcept {
            ++changes;
            if (is_synced) synced = changes;
        }
    };

    void add(change done) {
        pending_.push_back(std::move(done));
        // A disk does not keep everything in its cache forever, and neither does this one.
        if (pending_.size() > most_pending) sync(first_ + most_pending / 2);
    }

    void pop() {
        pending_.pop_front();
        ++first_;
    }

    template <class Visit> static void for_each_sector(const change& change, Visit visit) {
        for (std::uint64_t offset = change.offset; offset < change.end();) {
            std::uint64_t const next = (std::min)(change.end(), (offset / sector + 1) * sector);
            visit(offset / sector, offset, kaio::detail::narrow<std::size_t>(next - offset));
            offset = next;
        }
    }

    // Decides what becomes of the first `count` pending changes.
    void settle(std::size_t count, random_source& random) {
        std::map<std::uint64_t, history> sectors; // ordered, so that nothing depends on a library's hash
        for (std::size_t i = 0; i < count; ++i) {
            for_each_sector(pending_[i], [&](std::uint64_t number, std::uint64_t, std::size_t) {
                sectors[number].add(pending_[i].synced);
            });
        }

        // All, nothing and a mixture are each likely, however many sectors there are.
        int const luck = random.below(4);
        for (auto& [number, h] : sectors)
            h.kept = luck == 0                           ? h.synced
                     : luck == 1 || random.below(2) == 0 ? h.changes
                                                         : random.between(h.synced, h.changes);

        std::uint64_t size = stored_.size();
        for (std::size_t i = 0; i < count; ++i) {
            change const& done = pending_.front();
            for_each_sector(done, [&](std::uint64_t number, std::uint64_t offset, std::size_t bytes) {
                history& h = sectors.find(number)->second;
                if (h.kept == 0) return;
                --h.kept;
                stored_.write(offset, done.data.get() + (offset - done.offset), bytes);
            });
            if (done.synced || luck == 1 || (luck > 1 && random.below(2) == 0)) {
                if (done.truncates()) stored_.resize(done.end());
                size = done.truncates() ? done.end() : (std::max)(size, done.end());
            }
            pop();
        }
        stored_.resize(size);
    }

    sparse_bytes seen_{};          // what programs read
    sparse_bytes stored_{};        // what is on the medium without the pending changes
    std::deque<change> pending_{}; // oldest first
    std::uint64_t first_ = 0;      // position of the first of them
};

} // namespace kaio::sim::detail
