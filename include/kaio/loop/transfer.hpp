// fully(request): a read or write that goes on until every byte is transferred, the end of the file, or an error.
// transfer_result: how that ended. No allocation; system calls of its own (fcntl, fstat, statx) only after direct I/O,
// or what may be direct I/O, stopped between two units or was refused there.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>

#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

// True if all went well: every byte was transferred, or a read met the end of the file and bytes() is less than what
// was asked for. After an error, bytes() is what was transferred before it, from the beginning on.
class [[nodiscard("kaio: the result says whether it failed, and how many bytes were transferred")]] transfer_result {
public:
    constexpr transfer_result(std::size_t bytes, int error) noexcept : bytes_(bytes), error_(error) {}

    constexpr explicit operator bool() const noexcept { return error_ == 0; }
    constexpr std::size_t bytes() const noexcept { return bytes_; }
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }

    // bytes(), of a transfer that must have succeeded.
    // Errors: throws std::system_error with error(); `call` begins its text, so it names what was tried.
    std::size_t value(const char* call = "kaio: transfer") const {
        if (error_ != 0) [[unlikely]]
            detail::throw_error(error_, call);
        return bytes_;
    }

    friend constexpr bool operator==(transfer_result, transfer_result) noexcept = default;

private:
    std::size_t bytes_;
    int error_; // an errno, 0 for none
};

// Where a whole transfer stands. An iocb says what the kernel is asked for now, this what is done and what follows.
class transfer_progress {
public:
    // Cuts `first`, an iocb that asks for everything, to what the kernel takes at once.
    transfer_progress(iocb& first, std::uint32_t direct_unit) noexcept
        : unit_shift_(direct_unit != 0 ? shift_of(direct_unit) : unknown),
          vector_(is(first, opcode::preadv) || is(first, opcode::pwritev)) {
        if ((vector_ && first.aio_nbytes > most_vectors) || direct_unit > page) [[unlikely]] {
            if (first.aio_nbytes > most_to_count(first)) return;
            move(first, 0);
            limit(first);
        }
    }

    // After a part has ended with `res`: true if there is more to do, and then op's iocb says what.
    bool goes_on(operation& op, std::int64_t res) noexcept {
        iocb& block = op.block_;
        if (res == -EINTR) return true;
        if (res == -EINVAL) return goes_on_after_refusal(block);
        if (res < 0) return fail_with(static_cast<int>(-res));
        if (!move(block, res)) return false;
        if (res == 0) return reads(block) ? false : fail_with(EIO); // going on after a write of nothing might never end
        std::uint64_t const unit = unit_shift_ == unknown ? smallest_unit : this->unit();
        if (refusals_ != 0 || static_cast<std::uint64_t>(block.aio_offset) % unit != 0) [[unlikely]]
            return goes_on_between_units(block, static_cast<std::size_t>(res));
        limit(block);
        return true;
    }

    transfer_result result() const noexcept { return {done_, error_}; }

private:
    static constexpr std::uint64_t most_bytes = 0x7ffff000; // that one request transfers: INT_MAX in whole pages
    static constexpr std::uint64_t page = 4096;             // the smallest there is
    static constexpr std::uint64_t most_vectors = 1024;     // of one request: UIO_MAXIOV
    static constexpr std::uint64_t smallest_unit = 512;     // bytes: no direct I/O takes less
    static constexpr std::uint8_t unknown = 255;            // as a unit_shift_
    // A file that grows meanwhile may give a few bytes more at each try, so that not the first decides.
    static constexpr unsigned most_refusals = 20;

    static bool is(const iocb& block, opcode op) noexcept {
        return block.aio_lio_opcode == static_cast<std::uint16_t>(op);
    }
    static bool reads(const iocb& block) noexcept { return is(block, opcode::pread) || is(block, opcode::preadv); }
    // What is more the kernel refuses with EINVAL: no memory holds so much.
    static std::uint64_t most_to_count(const iocb& block) noexcept {
        return is(block, opcode::pread) || is(block, opcode::pwrite) ? INT64_MAX : UINT32_MAX;
    }
    static int fd(const iocb& block) noexcept { return static_cast<int>(block.aio_fildes); }

    // Whether a write goes to the end of the file, wherever that is.
    static bool appends(const iocb& block) noexcept {
        auto const has = [&](rw_flags flag) { return (block.aio_rw_flags & static_cast<std::int32_t>(flag)) != 0; };
        if (reads(block) || has(rw_flags::noappend)) return false;
        int const flags = ::fcntl(fd(block), F_GETFL);
        return has(rw_flags::append) || (flags >= 0 && (flags & O_APPEND) != 0);
    }

    // Whether the file says of itself that it ends where the iocb begins. Of what is no regular file, and of some that
    // are (in /proc), the size says nothing; there a read that gives 0 bytes tells the end.
    static bool at_the_end(const iocb& block) noexcept {
        struct stat status;
        return reads(block) && ::fstat(fd(block), &status) == 0 && S_ISREG(status.st_mode) &&
               status.st_size == block.aio_offset;
    }

    static std::uint8_t shift_of(std::uint32_t unit) noexcept {
        return static_cast<std::uint8_t>(unit != 0 ? __builtin_ctz(unit) : 0);
    }
    std::uint64_t unit() const noexcept { return unit_shift_ == unknown ? 1 : std::uint64_t{1} << unit_shift_; }

    // Asks an int descriptor for what a kaio::file would have said.
    [[gnu::__cold__, gnu::__noinline__]] void find_unit(const iocb& block) noexcept {
        unit_shift_ = 0;
        int const flags = ::fcntl(fd(block), F_GETFL);
        if (flags < 0 || (flags & O_DIRECT) == 0) return;
        auto borrowed = file::try_adopt(fd(block));
        if (!borrowed) return;
        if (borrowed->direct()) unit_shift_ = shift_of(borrowed->alignment().offset);
        [[maybe_unused]] int const given_back = borrowed->release();
    }

    bool fail_with(int error) noexcept {
        error_ = static_cast<std::uint16_t>(error);
        return false;
    }

    // A part of `count` bytes has ended between two units. That is the end only if the file says so: a network file
    // system may give fewer bytes than asked for anywhere. Most that do so also go on from there; one that has refused
    // that is asked for whole units again, and once more to go on from there only if that brought no whole unit: where
    // the size says nothing, the end is a place from which 0 bytes are read.
    [[gnu::__cold__, gnu::__noinline__]] bool goes_on_between_units(iocb& block, std::size_t count) noexcept {
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
    [[gnu::__cold__, gnu::__noinline__]] bool goes_on_after_refusal(iocb& block) noexcept {
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
        // Now that the unit is known, it may be asked for otherwise.
        return (found && (asked.aio_nbytes != block.aio_nbytes || asked.aio_lio_opcode != block.aio_lio_opcode)) ||
               fail_with(EINVAL);
    }

    // Whether whole units can be asked for from where the iocb begins. REQUIRES: it asks for all that is left, as it
    // does after move.
    bool whole(const iocb& block) const noexcept {
        bool const rest_of_a_buffer = vector_ && (is(block, opcode::pread) || is(block, opcode::pwrite));
        return (static_cast<std::uint64_t>(block.aio_offset) | (rest_of_a_buffer ? block.aio_nbytes : 0)) % unit() == 0;
    }

    // To the last place that is whole, or the beginning.
    void go_back(iocb& block) noexcept {
        while (done_ != 0 && !whole(block)) {
            std::uint64_t by = static_cast<std::uint64_t>(block.aio_offset) % unit();
            if (by == 0) by = block.aio_buf - detail::address(rest_.vector[-1].iov_base); // its buffer's beginning
            move(block, -static_cast<std::int64_t>(by < done_ ? by : done_));
        }
    }

    // Makes the iocb all that is left, `by` bytes further on or back. False: nothing is left.
    bool move(iocb& block, std::int64_t by) noexcept {
        done_ += static_cast<std::size_t>(by);
        block.aio_offset += by;
        if (!vector_) {
            block.aio_buf += static_cast<std::uint64_t>(by);
            block.aio_nbytes += rest_.bytes - static_cast<std::uint64_t>(by);
            rest_.bytes = 0;
            return block.aio_nbytes != 0;
        }
        const iovec* at; // a buffer
        if (is(block, opcode::preadv) || is(block, opcode::pwritev)) {
            at = detail::pointer_in<const iovec>(block.aio_buf);
            rest_count_ += static_cast<std::uint32_t>(block.aio_nbytes);
        } else {
            if (!rest_.vector) __builtin_unreachable(); // a buffer goes by itself only out of a vector
            at = rest_.vector - 1;
            by += static_cast<std::int64_t>(block.aio_buf - detail::address(at->iov_base));
            ++rest_count_;
        }
        // Now it is `by` bytes behind the beginning of `at`, and so many buffers are left.
        for (; by < 0; ++rest_count_) by += static_cast<std::int64_t>((--at)->iov_len);
        for (; rest_count_ != 0 && static_cast<std::uint64_t>(by) >= at->iov_len; ++at, --rest_count_)
            by -= static_cast<std::int64_t>(at->iov_len);
        if (by == 0 || rest_count_ == 0) {
            block.aio_lio_opcode = static_cast<std::uint16_t>(reads(block) ? opcode::preadv : opcode::pwritev);
            block.aio_buf = detail::address(at);
            block.aio_nbytes = rest_count_;
            rest_ = {.vector = at + rest_count_};
            rest_count_ = 0;
            return block.aio_nbytes != 0;
        }
        // The rest of a buffer of which a part is done goes by itself; then the vector goes on behind it.
        ask_for(block, at, static_cast<std::uint64_t>(by), at->iov_len - static_cast<std::uint64_t>(by));
        --rest_count_;
        return true;
    }

    // Makes the iocb a part of one buffer of a vector.
    void ask_for(iocb& block, const iovec* buffer, std::uint64_t from, std::uint64_t bytes) noexcept {
        block.aio_lio_opcode = static_cast<std::uint16_t>(reads(block) ? opcode::pread : opcode::pwrite);
        block.aio_buf = detail::address(buffer->iov_base) + from;
        block.aio_nbytes = bytes;
        rest_ = {.vector = buffer + 1};
    }

    // Cuts the iocb, which asks for all that is left, to what the kernel takes at once. It cuts the bytes of a request
    // itself, but to pages, which is refused if the unit is larger.
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
    [[gnu::__cold__, gnu::__noinline__]] void limit_vector(iocb& block, std::uint32_t count, std::uint64_t most) noexcept {
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

    // What follows that which the iocb asks for: of a vector (vector_) so many buffers, and if the iocb is a part of one
    // buffer, that is the one before them, with the rest of it; else bytes, directly behind.
    union rest {
        std::size_t bytes;
        const iovec* vector;
    };

    std::size_t done_ = 0;
    rest rest_{.bytes = 0};
    std::uint32_t rest_count_ = 0;
    std::uint16_t error_ = 0;
    std::uint8_t unit_shift_; // of direct I/O's unit, which is a power of two; 0: not direct
    bool vector_ : 1;         // it began as a readv or writev
    // How often going on between units was refused since a whole unit was last transferred. 0: never yet, so that it
    // may be tried anywhere; from the first on, 1 at least.
    std::uint8_t refusals_ : 7 = 0;
};
static_assert(sizeof(transfer_progress) <= 24, "a slab's slot is to have room for a handler of 16 bytes");

// Something to submit to a loop, made by fully().
struct whole_transfer {
    request first; // what to begin with
    transfer_progress progress;
};

// A read, write, readv or writev of which nothing is left out: what a short transfer leaves is submitted again, and
// EINTR is met by going on. Its handler gets a transfer_result. The caller's iovecs are not changed, and must stay,
// like the buffers, until it has completed. There may be more than 1024 of them, and more bytes than the kernel takes
// at once: both go in several requests, with direct I/O in whole units where the buffers allow that.
//
// A read has met the end of the file when the kernel gives 0 bytes, or when direct I/O stops between two units at what
// the file says is its size. A short transfer alone says nothing: network file systems make them anywhere. Direct I/O
// goes on from there, or, where the file system refuses that, from the last whole unit again; a write then writes up to
// a unit of the same bytes a second time. FUSE lets native AIO read no further than the size, so a file there that has
// more than it says ends early, with success: read such a file by read(2). On a pipe, socket or terminal a read goes on until the buffer is full or the
// other end is closed, and io_submit may block for each part; one without blocking ends with EAGAIN.
//
// Errors: those of the request; EIO for a write of which the kernel takes nothing without an error, and for direct I/O
// that gets no further, since the file system gives less than a unit and refuses to go on inside one. EINVAL for a
// write that appends (O_APPEND, rw_flags::append) and is refused inside a unit: it can't be repeated.
// REQUIRES: `what` is not an fsync, fdatasync or poll.
inline whole_transfer fully(const request& what) noexcept {
    [[maybe_unused]] auto const op = static_cast<opcode>(what.block().aio_lio_opcode);
    assert((op == opcode::pread || op == opcode::pwrite || op == opcode::preadv || op == opcode::pwritev) &&
           "kaio: fully() is for read, write, readv and writev");
    iocb first = what;
    transfer_progress const progress(first, what.direct_unit());
    return {request(first), progress};
}

// The handler of a whole transfer, as a loop keeps it.
template <class Loop, class Handler> struct whole_transfer_handler {
    Loop* loop;
    transfer_progress progress;
    Handler handler;

    // See operation_slab.
    bool goes_on(operation& op, io_result part) {
        bool const more = progress.goes_on(op, part.res());
        if (more) loop->start(op);
        return more;
    }
    void operator()(io_result) { handler(progress.result()); }
};

} // namespace kaio
