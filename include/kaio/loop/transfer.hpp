// fully(request): a read or write that goes on until every byte is transferred, the end of the file, or an error.
// transfer_result: how that ended. No allocation; a system call of its own (fcntl) only after a short transfer that
// direct I/O might explain, on a descriptor that is a plain int.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <fcntl.h>

#include <kaio/io/request.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio {

// True if all went well: every byte was transferred, or a read met the end of the file and bytes() is less than what
// was asked for. After an error, bytes() is what was transferred before it, from the beginning on.
class transfer_result {
public:
    constexpr transfer_result(std::size_t bytes, int error) noexcept : bytes_(bytes), error_(error) {}

    constexpr explicit operator bool() const noexcept { return error_ == 0; }
    constexpr std::size_t bytes() const noexcept { return bytes_; }
    std::error_code error() const noexcept { return std::error_code(error_, std::system_category()); }

    friend constexpr bool operator==(transfer_result, transfer_result) noexcept = default;

private:
    std::size_t bytes_;
    int error_; // an errno, 0 for none
};

// Something to submit to a loop, made by fully().
struct whole_transfer {
    request what;
};

// A read, write, readv or writev of which nothing is left out: what a short transfer leaves is submitted again, and
// EINTR is met by going on. Its handler gets a transfer_result. The caller's iovecs are not changed, and must stay,
// like the buffers, until it has completed. With O_DIRECT a short read of a length that direct I/O could not go on from
// is the end of the file. Errors: those of the request; EIO for a write of which the kernel takes nothing without an
// error.
// REQUIRES: `what` is not an fsync, fdatasync or poll.
inline whole_transfer fully(const request& what) noexcept {
    [[maybe_unused]] auto const op = static_cast<opcode>(what.block().aio_lio_opcode);
    assert((op == opcode::pread || op == opcode::pwrite || op == opcode::preadv || op == opcode::pwritev) &&
           "kaio: fully() is for read, write, readv and writev");
    return {what};
}

// Where a whole transfer stands.
class transfer_progress {
public:
    explicit transfer_progress(const request& what) noexcept : unit_(what.direct_unit()) {}

    // After a part has ended with `res`: true if there is more to do, and then op's iocb says what.
    bool goes_on(operation& op, std::int64_t res) noexcept {
        iocb& block = op.block_;
        if (res == -EINTR) return true;
        if (res < 0) {
            // The rest of a file, of which direct I/O read all that it could. Only where its unit is not known: else no
            // such part is tried, and EINVAL is an error like any other.
            if (res == -EINVAL && unit_ == 0 && done_ != 0 && reads(block) && is_direct(block)) return false;
            return fail_with(static_cast<int>(-res));
        }
        auto const count = static_cast<std::size_t>(res);
        done_ += count;
        if (!advance(block, count)) return false;
        if (count == 0) return reads(block) ? false : fail_with(EIO);
        std::size_t const unit = unit_ != 0 ? unit_ : smallest_unit;
        if (count % unit != 0 && (unit_ != 0 || is_direct(block))) return reads(block) ? false : fail_with(EIO);
        return true;
    }

    transfer_result result() const noexcept { return {done_, error_}; }

private:
    static constexpr std::size_t smallest_unit = 512; // bytes: no direct I/O takes less

    static bool is(const iocb& block, opcode op) noexcept {
        return block.aio_lio_opcode == static_cast<std::uint16_t>(op);
    }
    static bool reads(const iocb& block) noexcept { return is(block, opcode::pread) || is(block, opcode::preadv); }
    static bool is_direct(const iocb& block) noexcept {
        int const flags = ::fcntl(static_cast<int>(block.aio_fildes), F_GETFL);
        return flags >= 0 && (flags & O_DIRECT) != 0;
    }
    bool fail_with(int error) noexcept {
        error_ = static_cast<std::uint16_t>(error);
        return false;
    }

    // Makes the iocb what is left after `count` bytes. False: nothing is left.
    bool advance(iocb& block, std::size_t count) noexcept {
        block.aio_offset += static_cast<std::int64_t>(count);
        if (is(block, opcode::pread) || is(block, opcode::pwrite)) {
            block.aio_buf += count;
            block.aio_nbytes -= count;
            return block.aio_nbytes != 0 || next_vector(block);
        }
        rest_ = detail::pointer_in<const iovec>(block.aio_buf);
        rest_count_ = static_cast<std::uint16_t>(block.aio_nbytes); // 1024 at most
        for (; rest_count_ != 0 && count >= rest_->iov_len; ++rest_, --rest_count_) count -= rest_->iov_len;
        if (count == 0) return next_vector(block);
        // The rest of a buffer of which a part is done goes by itself; then the vector goes on behind it.
        block.aio_lio_opcode = static_cast<std::uint16_t>(reads(block) ? opcode::pread : opcode::pwrite);
        block.aio_buf = detail::address(rest_->iov_base) + count;
        block.aio_nbytes = rest_->iov_len - count;
        ++rest_;
        --rest_count_;
        return true;
    }

    bool next_vector(iocb& block) noexcept {
        for (; rest_count_ != 0 && rest_->iov_len == 0; ++rest_) --rest_count_;
        if (rest_count_ == 0) return false;
        block.aio_lio_opcode = static_cast<std::uint16_t>(reads(block) ? opcode::preadv : opcode::pwritev);
        block.aio_buf = detail::address(rest_);
        block.aio_nbytes = rest_count_;
        return true;
    }

    std::size_t done_ = 0;
    const iovec* rest_ = nullptr; // what follows the buffer that the iocb names, if anything does
    std::uint32_t unit_;          // of direct I/O, in bytes; 0: not known, or not direct
    std::uint16_t rest_count_ = 0;
    std::uint16_t error_ = 0;
};

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
