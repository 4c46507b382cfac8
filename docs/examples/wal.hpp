// write_ahead_log: a record that it has acknowledged is whole after power loss. It is a template over its loop, so that
// tests/sim/wal.cpp can cut the power under it thousands of times; docs/simulation.md explains how. It belongs to its
// loop's thread, and must outlive the requests that it submits.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <kaio/kaio.hpp>

// Records that are appended while a group is being written become the next group, so one fdatasync serves many records.
// A group begins in a new block, so nothing that was acknowledged is ever overwritten. Its checksum starts from that of
// the group before, so that a group of an earlier life is never taken for the next one.
//
// With Sync = false there is no fdatasync, and the tests find what is lost.
template <class Loop, bool Sync = true> class write_ahead_log {
public:
    static constexpr std::size_t block = 4096;
    static constexpr std::size_t most = 1 << 20; // bytes of a group, at most
    using acknowledgement = std::function<void(std::error_code)>;

    write_ahead_log(Loop& loop, kaio::descriptor file) : loop_(loop), file_(file) {}

    // Calls visit(std::span<const std::byte>) for each record, oldest first. Call it once, before any append.
    template <class Visit> std::error_code recover(Visit visit) {
        // A process that was killed may have left records in a cache. After this they are on the disk.
        if (kaio::io_result const r = wait_for(kaio::fdatasync(file_)); !r) return r.error();
        for (;;) {
            group_.clear();
            if (auto const error = read_up_to(block)) return error;
            // A file that ends inside the last block has the whole group: only its filling is missing. If this group
            // was ignored now, the next group would make the file longer, and this one would come back.
            if (group_.size() < sizeof(header)) return {};
            header const h = front();
            if (h.bytes == 0 || h.bytes > most - sizeof h) return {};
            if (auto const error = read_up_to(round_up(sizeof h + h.bytes))) return error;
            if (group_.size() < sizeof h + h.bytes || h.checksum != checksum(h.bytes)) return {}; // torn: the end
            for (std::size_t at = sizeof h; at < sizeof h + h.bytes;) {
                std::uint32_t size;
                std::memcpy(&size, group_.data() + at, sizeof size);
                visit(std::span<const std::byte>(group_).subspan(at + sizeof size, size));
                at += sizeof size + size;
            }
            chain_ = h.checksum;
            position_ += round_up(sizeof h + h.bytes);
        }
    }

    // Copies the record. Calls `done` without an error when the record is on the disk, or with an error if it may not
    // be. After an error every append fails: only a recovery can tell what a failed fdatasync has left on the disk.
    void append(std::span<const std::byte> record, acknowledgement done) {
        if (record.size() > most - sizeof(header) - sizeof(std::uint32_t))
            error_ = std::make_error_code(std::errc::message_size);
        if (error_) return done(error_);
        waiting_.push_back({{record.begin(), record.end()}, std::move(done)});
        if (committing_.empty()) commit();
    }

private:
    struct header {
        std::uint64_t checksum; // of the group before and of the bytes behind this header
        std::uint64_t bytes;    // of all records, each behind its size (four bytes)
    };
    struct pending {
        std::vector<std::byte> record;
        acknowledgement done;
    };

    static std::size_t round_up(std::uint64_t size) {
        return static_cast<std::size_t>((size + block - 1) / block * block);
    }

    header front() const {
        header h;
        std::memcpy(&h, group_.data(), sizeof h);
        return h;
    }

    // FNV-1a. A log for real use would take a CRC for which the processor has an instruction.
    std::uint64_t checksum(std::uint64_t bytes) const {
        std::uint64_t sum = chain_ ^ 0xcbf29ce484222325;
        for (std::size_t i = sizeof(header); i < sizeof(header) + bytes; ++i)
            sum = (sum ^ std::to_integer<std::uint64_t>(group_[i])) * 0x100000001b3;
        return sum;
    }

    kaio::io_result wait_for(const kaio::request& what) {
        kaio::io_result got(0);
        bool done = false;
        loop_.submit(what, [&](kaio::io_result r) { got = r, done = true; });
        while (!done) loop_.run_one();
        return got;
    }

    // Reads from position_ until group_ has this size or the file ends.
    std::error_code read_up_to(std::size_t size) {
        std::size_t have = group_.size();
        group_.resize(size > have ? size : have);
        while (have < size) {
            kaio::io_result const r = wait_for(kaio::read(file_, std::span(group_).subspan(have), at(have)));
            if (!r) return r.error();
            have += r.bytes();
            if (r.bytes() == 0 || r.bytes() % 512 != 0) break; // the end of the file: short reads are whole sectors
        }
        group_.resize(have);
        return {};
    }

    std::int64_t at(std::size_t offset) const { return static_cast<std::int64_t>(position_ + offset); }

    void commit() {
        group_.assign(sizeof(header), std::byte{});
        while (!waiting_.empty()) {
            std::vector<std::byte> const& record = waiting_.front().record;
            auto const size = static_cast<std::uint32_t>(record.size());
            if (group_.size() + sizeof size + size > most) break;
            auto const* bytes = reinterpret_cast<const std::byte*>(&size);
            group_.insert(group_.end(), bytes, bytes + sizeof size);
            group_.insert(group_.end(), record.begin(), record.end());
            committing_.push_back(std::move(waiting_.front().done));
            waiting_.pop_front();
        }
        header h{0, group_.size() - sizeof h};
        h.checksum = checksum(h.bytes);
        std::memcpy(group_.data(), &h, sizeof h);
        group_.resize(round_up(group_.size()));
        write_from(0);
    }

    void write_from(std::size_t done) {
        loop_.submit(kaio::write(file_, std::span(group_).subspan(done), at(done)), [this, done](kaio::io_result r) {
            if (!r) return committed(r.error());
            if (r.bytes() == 0) return committed(std::make_error_code(std::errc::io_error));
            if (done + r.bytes() < group_.size()) return write_from(done + r.bytes());
            if constexpr (Sync)
                loop_.submit(kaio::fdatasync(file_), [this](kaio::io_result s) { committed(s.error()); });
            else
                committed({});
        });
    }

    void committed(std::error_code error) {
        error_ = error;
        if (!error) {
            chain_ = front().checksum;
            position_ += group_.size();
        }
        for (auto const done = std::exchange(committing_, {acknowledgement()}); auto& each : done) each(error);
        committing_.clear(); // not empty until here, so that what an acknowledgement appends only waits
        for (; error_ && !waiting_.empty(); waiting_.pop_front()) waiting_.front().done(error_);
        if (!waiting_.empty()) commit();
    }

    Loop& loop_;
    kaio::descriptor file_;
    std::uint64_t position_ = 0; // where the next group goes
    std::uint64_t chain_ = 0;    // the last group's checksum
    std::error_code error_;
    std::deque<pending> waiting_;
    std::vector<acknowledgement> committing_; // of the group in flight; empty if there is none
    std::vector<std::byte, kaio::aligned_allocator<std::byte, block>> group_;
};
