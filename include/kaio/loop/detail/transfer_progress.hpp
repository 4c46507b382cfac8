// transfer_progress: where a whole transfer stands, see fully() in kaio/loop/transfer.hpp. The iocb says what the
// kernel is asked for now. This says what is done, and what follows behind the iocb. It belongs to its loop's thread.
// It allocates nothing. System calls (fcntl, fstat, statx) only after direct I/O, or what may be direct I/O, has
// stopped between two units or was refused there.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class transfer_progress {
public:
    // Cuts `block`, an iocb that asks for everything, to what the kernel takes at once.
    transfer_progress(iocb& block, std::uint32_t direct_unit) noexcept
        : unit_shift_(direct_unit != 0 ? shift_of(direct_unit) : unknown),
          vector_(is(block, opcode::preadv) || is(block, opcode::pwritev)) {
        if ((vector_ && block.aio_nbytes > most_vectors) || direct_unit > page) [[unlikely]] {
            if (block.aio_nbytes > most_to_count(block)) return;
            move(block, 0);
            limit(block);
        }
    }

    // After a part has completed with `res`. Returns true if there is more to do. Then the iocb says what.
    bool continues(iocb& block, std::int64_t res) noexcept {
        if (res == -EINTR) return true;
        if (res == -EINVAL) return continues_after_refusal(block);
        if (res < 0) return fail_with(static_cast<int>(-res));
        if (!move(block, res)) return false;
        if (res == 0) return reads(block) ? false : fail_with(EIO); // retrying a write of nothing might never end
        std::uint64_t const unit = unit_shift_ == unknown ? smallest_unit : this->unit();
        if (refusals_ != 0 || static_cast<std::uint64_t>(block.aio_offset) % unit != 0) [[unlikely]]
            return continues_between_units(block, static_cast<std::size_t>(res));
        limit(block);
        return true;
    }

    // Bytes transferred, from the beginning on.
    std::size_t bytes() const noexcept { return done_; }

    // An errno, 0 for none.
    int error() const noexcept { return error_; }

private:
    static constexpr std::uint64_t most_bytes = 0x7ffff000; // that one request transfers: INT_MAX in whole pages
    static constexpr std::uint64_t page = 4096;             // the smallest there is
    static constexpr std::uint64_t most_vectors = 1024;     // of one request: UIO_MAXIOV
    static constexpr std::uint64_t smallest_unit = 512;     // bytes: no direct I/O takes less
    static constexpr std::uint8_t unknown = 255;            // as a unit_shift_
    // A file that grows meanwhile may return a few bytes more at each try, so the first refusal does not decide.
    static constexpr unsigned most_refusals = 20;

    static bool is(const iocb& block, opcode op) noexcept {
        return block.aio_lio_opcode == static_cast<std::uint16_t>(op);
    }
    static bool reads(const iocb& block) noexcept { return is(block, opcode::pread) || is(block, opcode::preadv); }
    // The kernel refuses more with EINVAL: no memory holds so much.
    static std::uint64_t most_to_count(const iocb& block) noexcept {
        return is(block, opcode::pread) || is(block, opcode::pwrite) ? INT64_MAX : UINT32_MAX;
    }
    static int fd(const iocb& block) noexcept { return static_cast<int>(block.aio_fildes); }

    // True if a write goes to the end of the file, wherever that is.
    static bool appends(const iocb& block) noexcept {
        auto const has = [&](rw_flags flag) { return (block.aio_rw_flags & static_cast<std::int32_t>(flag)) != 0; };
        if (reads(block) || has(rw_flags::noappend)) return false;
        int const flags = ::fcntl(fd(block), F_GETFL);
        return has(rw_flags::append) || (flags >= 0 && (flags & O_APPEND) != 0);
    }

    // True if the file says that it ends where the iocb begins. The size says nothing for what is no regular file, and
    // for some regular files (in /proc). There a read of 0 bytes tells the end.
    static bool at_the_end(const iocb& block) noexcept {
        struct stat status;
        return reads(block) && ::fstat(fd(block), &status) == 0 && S_ISREG(status.st_mode) &&
               status.st_size == block.aio_offset;
    }

    static std::uint8_t shift_of(std::uint32_t unit) noexcept {
        return static_cast<std::uint8_t>(unit != 0 ? __builtin_ctz(unit) : 0);
    }
    std::uint64_t unit() const noexcept { return unit_shift_ == unknown ? 1 : std::uint64_t{1} << unit_shift_; }

    // Finds out about an int descriptor what a kaio::file would have said.
    [[gnu::__cold__, gnu::__noinline__]] void find_unit(const iocb& block) noexcept {
        unit_shift_ = 0;
        int const flags = ::fcntl(fd(block), F_GETFL);
        if (flags < 0 || (flags & O_DIRECT) == 0) return;
        auto borrowed = file::try_adopt(fd(block));
        if (!borrowed) return;
        if (borrowed->direct()) unit_shift_ = shift_of(borrowed->alignment().offset);
        [[maybe_unused]] int const returned = borrowed->release();
    }

    bool fail_with(int error) noexcept {
        error_ = static_cast<std::uint16_t>(error);
        return false;
    }

    // A part of `count` bytes has ended between two units. That is the end only if the file says so: a network file
    // system may transfer fewer bytes than asked for anywhere. Most that do so also continue from there. One that has
    // refused that is asked for whole units again. It is asked once more to continue between units only if that brought
    // no whole unit: where the size says nothing, the end is a place from which 0 bytes are read.
    [[gnu::__cold__, gnu::__noinline__]] bool continues_between_units(iocb& block, std::size_t count) noexcept {
        if (unit_shift_ == unknown) find_unit(block);
        if (unit() != 1) {
            if (at_the_end(block)) return false;
            if (refusals_ != 0) {
                std::size_t const here = done_;
                go_back(block);
                if (done_ > here - count)
                    refusals_ = 1;
                else
                    move(block, static_cast<std::int64_t>(here - done_));
            }
        }
        limit(block);
        return true;
    }

    // The kernel said EINVAL.
    [[gnu::__cold__, gnu::__noinline__]] bool continues_after_refusal(iocb& block) noexcept {
        bool const found = unit_shift_ == unknown;
        if (found) find_unit(block);
        if (unit() == 1 || block.aio_nbytes > most_to_count(block)) return fail_with(EINVAL);
        iocb const asked = block;
        move(block, 0);
        if (done_ != 0 && at_the_end(block)) return false;
        if (done_ != 0 && !whole(block) && !appends(block)) {
            // The same bytes once more do no harm, unless a write appends them.
            if (++refusals_ > most_refusals) return fail_with(EIO);
            go_back(block);
            limit(block);
            return true;
        }
        limit(block);
        // Now that the unit is known, the request may have become another one.
        return (found && (asked.aio_nbytes != block.aio_nbytes || asked.aio_lio_opcode != block.aio_lio_opcode)) ||
               fail_with(EINVAL);
    }

    // True if whole units can be asked for from where the iocb begins. REQUIRES: it asks for all that is left, as it
    // does after move.
    bool whole(const iocb& block) const noexcept {
        bool const rest_of_a_buffer = vector_ && (is(block, opcode::pread) || is(block, opcode::pwrite));
        return (static_cast<std::uint64_t>(block.aio_offset) | (rest_of_a_buffer ? block.aio_nbytes : 0)) % unit() == 0;
    }

    // Goes back to the last place that is whole, or to the beginning.
    void go_back(iocb& block) noexcept {
        while (done_ != 0 && !whole(block)) {
            std::uint64_t by = static_cast<std::uint64_t>(block.aio_offset) % unit();
            if (by == 0) by = block.aio_buf - detail::address(rest_.vector[-1].iov_base); // its buffer's beginning
            move(block, -static_cast<std::int64_t>(by < done_ ? by : done_));
        }
    }

    // Makes the iocb all that is left, `by` bytes further on or back. Returns false if nothing is left.
    bool move(iocb& block, std::int64_t by) noexcept {
        done_ += static_cast<std::size_t>(by);
        block.aio_offset += by;
        if (!vector_) {
            block.aio_buf += static_cast<std::uint64_t>(by);
            block.aio_nbytes += rest_.bytes - static_cast<std::uint64_t>(by);
            rest_.bytes = 0;
            return block.aio_nbytes != 0;
        }
        const iovec* buffer;
        if (is(block, opcode::preadv) || is(block, opcode::pwritev)) {
            buffer = detail::pointer_in<const iovec>(block.aio_buf);
            rest_count_ += static_cast<std::uint32_t>(block.aio_nbytes);
        } else {
            if (!rest_.vector) __builtin_unreachable(); // a buffer goes by itself only out of a vector
            buffer = rest_.vector - 1;
            by += static_cast<std::int64_t>(block.aio_buf - detail::address(buffer->iov_base));
            ++rest_count_;
        }
        // Now it is `by` bytes behind the beginning of `buffer`, and rest_count_ buffers are left.
        for (; by < 0; ++rest_count_) by += static_cast<std::int64_t>((--buffer)->iov_len);
        for (; rest_count_ != 0 && static_cast<std::uint64_t>(by) >= buffer->iov_len; ++buffer, --rest_count_)
            by -= static_cast<std::int64_t>(buffer->iov_len);
        if (by == 0 || rest_count_ == 0) {
            block.aio_lio_opcode = static_cast<std::uint16_t>(reads(block) ? opcode::preadv : opcode::pwritev);
            block.aio_buf = detail::address(buffer);
            block.aio_nbytes = rest_count_;
            rest_ = {.vector = buffer + rest_count_};
            rest_count_ = 0;
            return block.aio_nbytes != 0;
        }
        // The rest of a buffer of which a part is done goes by itself. Then the vector continues behind it.
        ask_for(block, buffer, static_cast<std::uint64_t>(by), buffer->iov_len - static_cast<std::uint64_t>(by));
        --rest_count_;
        return true;
    }

    // Makes the iocb a part of one buffer of a vector: `bytes` from `skipped` on.
    void ask_for(iocb& block, const iovec* buffer, std::uint64_t skipped, std::uint64_t bytes) noexcept {
        block.aio_lio_opcode = static_cast<std::uint16_t>(reads(block) ? opcode::pread : opcode::pwrite);
        block.aio_buf = detail::address(buffer->iov_base) + skipped;
        block.aio_nbytes = bytes;
        rest_ = {.vector = buffer + 1};
    }

    // Cuts the iocb, which asks for all that is left, to what the kernel takes at once. The kernel itself cuts a
    // request to whole pages. That is refused if the unit is larger than a page.
    void limit(iocb& block) noexcept {
        std::uint64_t const most = most_bytes & ~(unit() - 1);
        if (is(block, opcode::pread) || is(block, opcode::pwrite)) {
            if (unit() <= page || block.aio_nbytes <= most) return;
            if (!vector_) rest_.bytes = detail::narrow<std::size_t>(block.aio_nbytes - most);
            block.aio_nbytes = most;
            return;
        }
        auto const count = static_cast<std::uint32_t>(block.aio_nbytes);
        if (count > most_vectors || unit() > page) [[unlikely]]
            limit_vector(block, count, most);
    }
    [[gnu::__cold__, gnu::__noinline__]] void limit_vector(iocb& block, std::uint32_t count,
                                                           std::uint64_t most) noexcept {
        auto const* const first = detail::pointer_in<const iovec>(block.aio_buf);
        std::uint32_t fit = 0, whole = 0; // buffers
        std::uint64_t bytes = 0;
        for (; fit < count && fit < most_vectors && first[fit].iov_len <= most - bytes;) {
            bytes += first[fit++].iov_len;
            if (bytes % unit() == 0) whole = fit;
        }
        if (fit == count) return;
        rest_count_ = count - 1;
        if (fit == 0 && first->iov_len <= PTRDIFF_MAX) return ask_for(block, first, 0, most);
        block.aio_nbytes = whole != 0 ? whole : fit != 0 ? fit : 1;
        rest_count_ = count - static_cast<std::uint32_t>(block.aio_nbytes);
        rest_ = {.vector = first + block.aio_nbytes};
    }

    // What follows behind that which the iocb asks for.
    union rest {
        std::size_t bytes; // not a vector: directly behind it

        // Of a vector (vector_): the next buffers, rest_count_ of them. If the iocb is a part of one buffer, that is
        // the one before these, and the rest of it follows too.
        const iovec* vector;
    };

    std::size_t done_ = 0;
    rest rest_{.bytes = 0};
    std::uint32_t rest_count_ = 0;
    std::uint16_t error_ = 0;
    std::uint8_t unit_shift_; // of direct I/O's unit, which is a power of two; 0: not direct
    bool vector_ : 1;         // it began as a readv or writev
    // How often continuing between units was refused since a whole unit was last transferred. 0: never yet, so it may
    // be tried anywhere. After the first refusal it is 1 at least.
    std::uint8_t refusals_ : 7 = 0;
};
static_assert(sizeof(transfer_progress) <= 24, "a slab's operation is to have room for a handler of 16 bytes");

} // namespace kaio::detail
