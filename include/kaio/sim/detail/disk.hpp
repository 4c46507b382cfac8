// disk: the files and events of a simulated world. It says what io_submit refuses, and does what a request asks for
// when its time has come, with faults. A bad request is refused when and where Linux refuses it (fs/aio.c). One thread
// at a time.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/uio.h>

#include <kaio/sim/detail/page_cache.hpp>
#include <kaio/sim/detail/stored_file.hpp>
#include <kaio/sim/options.hpp>
#include <kaio/sim/random_source.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::sim::detail {

class context;
class disk;

// What a descriptor names.
struct node {
    struct range {
        std::uint64_t offset, size;
    };

    sim::detail::disk* disk; // that it is on
    int fd;
    bool is_event; // else it is a file
    bool ready;    // the state of an event
    std::string name;
    file_options options;
    stored_file content;
    std::vector<range> broken; // reads and writes here fail with EIO
    page_cache cache;
    unsigned queued; // reads and writes in flight

    bool suspended;                  // its requests do not complete
    std::vector<std::uint32_t> held; // those that would have, by their number in the world
};

// A request that io_submit has accepted.
struct in_flight {
    context* owner = nullptr; // null: the slot is free
    node* target = nullptr;
    node* notify = nullptr; // the event that is signalled at completion, or null
    opcode op{};
    bool parked = false; // a poll whose event is not ready, so that no time is set for it
    bool cancelled = false;
    bool queued = false;     // counted by node::queued
    std::int64_t answer = 0; // not 0: it does nothing, and its event has this
    std::uint64_t most = 0;  // bytes that it transfers at most
    std::int32_t flags = 0;
    std::int64_t offset = 0;
    std::uint64_t position = 0; // for a sync: how many writes it covers
    std::uint64_t data = 0, obj = 0;
    short poll_events = 0;
    std::vector<iovec> memory{}; // kept when the slot is freed: the steady state allocates nothing

    bool has(rw_flags flag) const noexcept { return (flags & static_cast<std::int32_t>(flag)) != 0; }
    bool is_write() const noexcept { return op == opcode::pwrite || op == opcode::pwritev; }
    bool is_sync() const noexcept { return op == opcode::fsync || op == opcode::fdsync; }
};

class disk {
public:
    disk(random_source& random, const sim::options& options) noexcept : random_(random), options_(options) {}

    // The file of this name, which is made if there is none.
    node& open(std::string name, file_options options) {
        for (auto& n : nodes_)
            if (!n->is_event && n->name == name) return *n;
        return add(false, std::move(name), options);
    }
    node& make_event() { return add(true, {}, {}); }

    // ftruncate(2), with faults. It takes no time. Returns 0 or an errno.
    int truncate(node& n, std::int64_t size) {
        if (size < 0) return EINVAL;
        std::uint64_t const others = used() - n.content.size();
        if (others + static_cast<std::uint64_t>(size) > options_.disk_size) return ENOSPC;
        if (random_.chance(options_.io_errors)) return EIO;
        n.content.truncate(static_cast<std::uint64_t>(size));
        return 0;
    }

    // Null if nothing has this descriptor.
    node* find(std::uint32_t fd) const noexcept {
        return fd - first_fd < nodes_.size() ? nodes_[fd - first_fd].get() : nullptr;
    }

    // Fills in `r` from the iocb. Returns 0, or a negative errno if io_submit refuses it.
    int accept(const iocb& block, in_flight& r) const {
        if (block.aio_reserved2 != 0) return -EINVAL;
        r.target = find(block.aio_fildes);
        if (!r.target) return -EBADF;
        r.notify = nullptr;
        if (block.aio_flags & iocb_flag_resfd) {
            r.notify = find(block.aio_resfd);
            if (!r.notify) return -EBADF;
            if (!r.notify->is_event) return -EINVAL;
        }
        r.op = static_cast<opcode>(block.aio_lio_opcode);
        r.flags = block.aio_rw_flags;
        r.offset = block.aio_offset;
        r.parked = r.cancelled = r.queued = false;
        r.answer = 0;
        r.most = most_bytes;
        r.memory.clear();
        if (r.op == opcode::pread || r.op == opcode::pwrite) {
            if (block.aio_nbytes > INT64_MAX) return -EINVAL;
            r.memory.push_back({pointer(block.aio_buf), static_cast<std::size_t>(block.aio_nbytes)});
            return check_transfer(r);
        }
        if (r.op == opcode::preadv || r.op == opcode::pwritev) {
            if (block.aio_nbytes > most_vectors) return -EINVAL;
            auto const* vectors = static_cast<const iovec*>(pointer(block.aio_buf));
            if (!vectors && block.aio_nbytes != 0) return -EFAULT;
            if (vectors) r.memory.assign(vectors, vectors + block.aio_nbytes);
            for (const iovec& piece : r.memory)
                if (piece.iov_len > static_cast<std::size_t>(-1) / 2) return -EINVAL;
            return check_transfer(r);
        }
        if (r.op == opcode::fsync || r.op == opcode::fdsync) {
            if (block.aio_buf != 0 || block.aio_nbytes != 0 || r.offset != 0 || r.flags != 0) return -EINVAL;
            if (r.target->is_event) return -EINVAL;
            r.position = r.target->content.position();
            return 0;
        }
        if (r.op == opcode::poll) {
            if (block.aio_buf > UINT16_MAX || block.aio_nbytes != 0 || r.offset != 0 || r.flags != 0) return -EINVAL;
            r.poll_events = static_cast<short>(static_cast<std::uint16_t>(block.aio_buf));
            return 0;
        }
        return -EINVAL;
    }

    // For a poll: the events that hold now. A file is always ready, as on Linux.
    static int ready(const in_flight& r) noexcept {
        int const holds =
            r.target->is_event && !r.target->ready ? POLLOUT | POLLWRNORM : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
        return holds & r.poll_events;
    }

    // The number of bytes to be transferred, which has a limit as on Linux.
    static std::uint64_t bytes(const in_flight& r) noexcept {
        std::uint64_t sum = 0;
        for (const iovec& piece : r.memory)
            sum = (std::min)(most_bytes, sum + std::min<std::uint64_t>(most_bytes, piece.iov_len));
        return sum;
    }

    // How a request goes on that io_submit has accepted: it completes in so many nanoseconds, and until then the thread
    // that submits it is stuck or is not.
    struct course {
        std::int64_t ns;
        bool blocks;
    };
    course begin(in_flight& r, std::int64_t now) {
        node& n = *r.target;
        if (r.is_sync()) return {latency(), false};
        if (bytes(r) == 0) return {0, false};
        if (!transferable(r)) return {latency(), false};
        if (n.options.in_memory) return {0, false};
        r.queued = true;
        ++n.queued;
        bool const nowait = r.has(rw_flags::nowait);
        if (nowait && n.options.nowait == nowait_answer::refused_in_event && r.is_write())
            return answer(r, -EOPNOTSUPP);
        if (nowait && n.options.queue_depth != 0 && n.queued > n.options.queue_depth) return answer(r, -EAGAIN);
        if (blocks(r)) {
            if (nowait) return answer(r, -EAGAIN);
            return {random_.between(options_.least_blocking, options_.most_blocking), true};
        }
        if (!n.options.cached) return {latency(), false};
        if (r.is_write()) {
            n.cache.fill(start(r), bytes(r), now);
            return {latency(), false};
        }
        return begin_cached(r, now);
    }

    // True if io_submit must not accept it yet, because its device has a full queue.
    static bool waits_for_queue(const in_flight& r) noexcept {
        unsigned const depth = r.target->options.queue_depth;
        return depth != 0 && r.target->queued >= depth && bytes(r) != 0 && !r.has(rw_flags::nowait);
    }

    // It has completed.
    static void end(in_flight& r) noexcept {
        if (r.queued) --r.target->queued;
    }

    // readahead(2)
    void read_ahead(node& n, std::uint64_t offset, std::uint64_t bytes, std::int64_t now) {
        std::uint64_t const size = n.content.size();
        if (n.options.cached && offset < size)
            (void)n.cache.read(offset, (std::min)(bytes, size - offset), now + latency());
    }

    // Does what the request asks for, and returns its result as in io_event::res.
    std::int64_t perform(in_flight& r) {
        if (r.answer != 0) return r.answer;
        if (r.op == opcode::poll) return r.cancelled ? 0 : ready(r);
        stored_file& content = r.target->content;
        if (r.is_sync()) {
            if (random_.chance(options_.io_errors)) {
                content.fail_sync(r.position, random_);
                return -EIO;
            }
            content.sync(r.position);
            return 0;
        }
        return transfer(r);
    }

    // Power loss with these requests in flight, which have no order: any sectors of a write may have been written.
    void crash(std::vector<in_flight*> cut_off) {
        tear(std::move(cut_off));
        for (auto& n : nodes_) lose(*n);
    }
    // The same of one file, and its requests in flight.
    void crash(node& n, std::vector<in_flight*> cut_off) {
        tear(std::move(cut_off));
        lose(n);
    }

    std::uint64_t used() const noexcept {
        std::uint64_t bytes = 0;
        for (auto& n : nodes_) bytes += n->content.size();
        return bytes;
    }

private:
    static constexpr std::uint32_t first_fd = 1'000'000; // real descriptors are smaller, unless the limit was raised
    static constexpr std::uint64_t most_vectors = 1024;
    static constexpr std::uint64_t most_bytes = 0x7ffff000; // that one request transfers

    node& add(bool is_event, std::string name, file_options options) {
        int const fd = static_cast<int>(first_fd + nodes_.size());
        nodes_.push_back(std::make_unique<node>(
            node{this, fd, is_event, false, std::move(name), options, {}, {}, {}, 0, false, {}}));
        return *nodes_.back();
    }

    void tear(std::vector<in_flight*> cut_off) {
        for (std::size_t i = cut_off.size(); i > 1; --i) (std::swap)(cut_off[i - 1], cut_off[random_.below(i)]);
        for (in_flight* r : cut_off)
            if (r->is_write() && transferable(*r)) write(*r, start(*r), bytes(*r), false);
    }
    void lose(node& n) {
        n.content.crash(random_);
        n.cache.evict();
        n.held.clear(); // they have ended
    }

    static void* pointer(std::uint64_t address) noexcept { return kaio::detail::pointer_in<void>(address); }

    static int check_transfer(const in_flight& r) noexcept {
        constexpr auto known = rw_flags::dsync | rw_flags::sync | rw_flags::nowait | rw_flags::append |
                               rw_flags::noappend | rw_flags::dontcache;
        if ((r.flags & ~static_cast<std::int32_t>(known)) != 0) return -EOPNOTSUPP;
        file_options const& file = r.target->options;
        if (r.has(rw_flags::nowait) && (file.in_memory || file.nowait == nowait_answer::refused_at_submission))
            return -EOPNOTSUPP;
        if (r.target->is_event || r.offset < 0 || bytes(r) > static_cast<std::uint64_t>(INT64_MAX - r.offset))
            return -EINVAL;
        return 0;
    }

    // The offset where it begins. REQUIRES: it is a read or a write.
    static std::uint64_t start(const in_flight& r) noexcept {
        return r.is_write() && r.has(rw_flags::append) ? r.target->content.size()
                                                       : static_cast<std::uint64_t>(r.offset);
    }

    static std::uint64_t unit(const in_flight& r) noexcept {
        return r.target->options.direct ? r.target->options.alignment.offset : 1;
    }

    // True if there is memory, aligned as direct I/O demands.
    static bool transferable(const in_flight& r) noexcept {
        std::uint64_t all = static_cast<std::uint64_t>(r.offset);
        for (const iovec& piece : r.memory) {
            if (!piece.iov_base && piece.iov_len != 0) return false;
            all |= piece.iov_len;
            if (r.target->options.direct &&
                reinterpret_cast<std::uintptr_t>(piece.iov_base) % r.target->options.alignment.memory != 0)
                return false;
        }
        return all % unit(r) == 0;
    }

    std::int64_t latency() noexcept {
        if (random_.below(16) == 0) return 0;
        return random_.between(options_.least_latency, options_.most_latency);
    }

    static course answer(in_flight& r, int error) noexcept {
        r.answer = error;
        return {0, false};
    }

    bool blocks(const in_flight& r) noexcept {
        if (random_.chance(options_.blocking)) return true;
        blocking_writes const which = r.target->options.blocks;
        if (!r.is_write() || which == blocking_writes::never) return false;
        if (which == blocking_writes::all || start(r) + bytes(r) > r.target->content.size()) return true;
        return which == blocking_writes::into_holes &&
               r.target->content.has_hole(start(r), kaio::detail::narrow<std::size_t>(bytes(r)));
    }

    // A read through the page cache. With RWF_NOWAIT it has what is there, and all of it is on its way.
    course begin_cached(in_flight& r, std::int64_t now) {
        node& n = *r.target;
        std::uint64_t const offset = start(r), size = n.content.size();
        if (offset >= size) return {0, false};
        std::uint64_t const asked = (std::min)(bytes(r), size - offset);
        std::int64_t const arrival = n.cache.read(offset, asked, now + latency());
        if (arrival <= now) return {0, false};
        if (!r.has(rw_flags::nowait)) return {arrival - now, true};
        r.most = n.cache.there(offset, asked, now);
        if (r.most == 0) return answer(r, -EAGAIN);
        return {0, false};
    }

    std::int64_t transfer(in_flight& r) {
        std::uint64_t const asked = (std::min)(bytes(r), r.most), begin = start(r);
        if (asked == 0) return 0;
        if (!transferable(r)) {
            for (const iovec& piece : r.memory)
                if (!piece.iov_base && piece.iov_len != 0) return -EFAULT;
            bool const behind = !r.is_write() && begin >= r.target->content.size();
            return behind ? 0 : -EINVAL; // the end comes first (iomap_dio_rw)
        }
        std::uint64_t size = asked;
        std::uint64_t const step = r.target->options.direct && options_.short_unit != 0 ? options_.short_unit : unit(r);
        if (random_.chance(options_.short_transfers) && size > step)
            size = random_.between<std::uint64_t>(1, size / step - (size % step == 0)) * step;
        if (std::uint64_t const good = before_broken(*r.target, begin, size); good < size)
            size = good / unit(r) * unit(r);
        if (size == 0 || random_.chance(options_.io_errors)) {
            if (r.is_write() && size != 0) write(r, begin, to_sector(begin, random_.below(size + 1)), false);
            return -EIO;
        }
        if (!r.is_write()) return static_cast<std::int64_t>(read(r, begin, size));

        std::uint64_t const end = r.target->content.size();
        if (begin + size > end) {
            std::uint64_t const others = used() - end;
            std::uint64_t const room = options_.disk_size > others ? options_.disk_size - others : 0;
            if (begin + size > room) size = room > begin ? (room - begin) / unit(r) * unit(r) : 0;
            if (size == 0) return -ENOSPC;
        }
        write(r, begin, size, r.has(rw_flags::dsync) || r.has(rw_flags::sync));
        return static_cast<std::int64_t>(size);
    }

    // `size`, cut so that the last byte ends its sector.
    static std::uint64_t to_sector(std::uint64_t offset, std::uint64_t size) noexcept {
        std::uint64_t const torn = (offset + size) % stored_file::sector;
        return size > torn ? size - torn : 0;
    }

    // The number of bytes before the first one that can't be read or written.
    static std::uint64_t before_broken(const node& n, std::uint64_t offset, std::uint64_t size) noexcept {
        for (auto const& bad : n.broken)
            if (bad.offset < offset + size && offset < bad.offset + bad.size)
                size = bad.offset > offset ? bad.offset - offset : 0;
        return size;
    }

    std::uint64_t read(const in_flight& r, std::uint64_t offset, std::uint64_t size) {
        std::uint64_t done = 0;
        for_each_piece(r, size, [&](std::byte* data, std::size_t count) {
            done += r.target->content.read(offset + done, data, count);
        });
        if (done != 0 && random_.chance(options_.bit_flips)) {
            std::uint64_t wrong = random_.below(done);
            for (const iovec& piece : r.memory) {
                if (wrong < piece.iov_len) {
                    static_cast<std::byte*>(piece.iov_base)[wrong] ^= std::byte{1} << random_.below(8);
                    break;
                }
                wrong -= piece.iov_len;
            }
        }
        return done;
    }

    static void write(const in_flight& r, std::uint64_t offset, std::uint64_t size, bool synced) {
        for_each_piece(r, size, [&](std::byte* data, std::size_t count) {
            r.target->content.write(offset, data, count, synced);
            offset += count;
        });
    }

    template <class Visit> static void for_each_piece(const in_flight& r, std::uint64_t size, Visit visit) {
        for (const iovec& piece : r.memory) {
            auto const count = static_cast<std::size_t>(std::min<std::uint64_t>(size, piece.iov_len));
            visit(static_cast<std::byte*>(piece.iov_base), count);
            size -= count;
        }
    }

    random_source& random_;
    const sim::options& options_;
    std::vector<std::unique_ptr<node>> nodes_{};
};

} // namespace kaio::sim::detail
