// read_range and write_file: any bytes of a file, and files of any length, with direct I/O, whose requests are whole
// blocks in aligned memory. What is aligned goes straight; the rest goes through a buffer of kaio's own.
// Both work without direct I/O too, and belong to the loop's thread.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <kaio/coro/for_each_concurrent.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/transfer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD {

namespace detail {

// The pieces of a byte range: each begins at a multiple of the piece size, but for the first.
class pieces {
public:
    static constexpr std::int64_t size = 1 << 20; // bytes: a multiple of every alignment
    static constexpr std::size_t at_once = 4;

    struct piece {
        std::int64_t offset;
        std::size_t bytes;
    };
    struct iterator {
        std::int64_t offset, end;
        piece operator*() const noexcept {
            std::int64_t const left = end - offset, to_next = size - offset % size; // the next multiple may be none
            return {offset, static_cast<std::size_t>(to_next < left ? to_next : left)};
        }
        iterator& operator++() noexcept {
            offset += static_cast<std::int64_t>((**this).bytes);
            return *this;
        }
        bool operator!=(const iterator& other) const noexcept { return offset != other.offset; }
    };

    pieces(std::int64_t offset, std::size_t bytes) noexcept
        : begin_{offset, offset + static_cast<std::int64_t>(bytes)} {}
    iterator begin() const noexcept { return begin_; }
    iterator end() const noexcept { return {begin_.end, begin_.end}; }

private:
    iterator begin_;
};

// What has been transferred of a range whose pieces end in any order: all bytes before the first that is missing.
class contiguous_progress {
public:
    // `missing`: the offset from which on this piece was not transferred, for `error` or, if that is 0, for the end of
    // the file.
    void stopped_at(std::int64_t missing, int error) noexcept {
        if (missing < end_) {
            end_ = missing;
            error_ = error;
        }
    }
    bool stopped() const noexcept { return end_ != INT64_MAX; }
    transfer_result result(std::int64_t begin, std::size_t asked) const noexcept {
        return {stopped() ? static_cast<std::size_t>(end_ - begin) : asked, error_};
    }

private:
    std::int64_t end_ = INT64_MAX;
    int error_ = 0;
};

// A file that ignores O_DIRECT now need not do so later (kaio::file::support).
inline file_alignment alignment_of(const file& of) noexcept {
    return of.direct() || of.direct_ignored() ? of.alignment() : file_alignment{1, 1};
}

inline bool aligned(const void* memory, std::size_t to) noexcept {
    return (reinterpret_cast<std::uintptr_t>(memory) & (to - 1)) == 0;
}

template <class Loop>
task<void> read_piece(Loop& in, const file& from, pieces::piece what, std::byte* out, contiguous_progress& progress) {
    if (progress.stopped()) co_return;
    auto const [memory, unit] = alignment_of(from);
    std::int64_t const first = what.offset & -std::int64_t{unit}; // of the block that holds the first byte
    auto const skipped = static_cast<std::size_t>(what.offset - first);
    std::size_t const blocks = (skipped + what.bytes + unit - 1) & ~(std::size_t{unit} - 1);

    transfer_result got(0, 0);
    if (skipped == 0 && blocks == what.bytes && aligned(out, memory)) {
        got = co_await in.submit(fully(read(from, view<std::byte>(out, what.bytes), first)));
    } else {
        auto bounce = aligned_buffer::try_make(blocks, memory);
        if (!bounce) co_return progress.stopped_at(what.offset, ENOMEM);
        got = co_await in.submit(fully(read(from, *bounce, first)));
        std::size_t const there = got.bytes() > skipped ? got.bytes() - skipped : 0;
        std::size_t const count = there < what.bytes ? there : what.bytes;
        std::memcpy(out, bounce->data() + skipped, count);
        got = transfer_result(count, got.error().value());
    }
    if (got.bytes() != what.bytes)
        progress.stopped_at(what.offset + static_cast<std::int64_t>(got.bytes()), got.error().value());
}

template <class Loop>
task<void> write_piece(Loop& in, const file& to, pieces::piece what, const std::byte* data,
                       contiguous_progress& progress) {
    if (progress.stopped()) co_return;
    auto const [memory, unit] = alignment_of(to);
    std::size_t const blocks = (what.bytes + unit - 1) & ~(std::size_t{unit} - 1);

    transfer_result put(0, 0);
    if (blocks == what.bytes && aligned(data, memory)) {
        put = co_await in.submit(fully(write(to, view<const std::byte>(data, what.bytes), what.offset)));
    } else {
        auto bounce = aligned_buffer::try_make(blocks, memory);
        if (!bounce) co_return progress.stopped_at(what.offset, ENOMEM);
        std::memcpy(bounce->data(), data, what.bytes);
        std::memset(bounce->data() + what.bytes, 0, blocks - what.bytes);
        put = co_await in.submit(fully(write(to, *bounce, what.offset)));
    }
    if (put.bytes() < what.bytes)
        progress.stopped_at(what.offset + static_cast<std::int64_t>(put.bytes()), put.error().value());
}

} // namespace detail

// Reads the bytes from `offset` on into all of `out`, at any offset, length and address, a MiB at a time, four at once.
// Gives the number of bytes that were read from the beginning on: fewer at the end of the file, or with an error. The
// bytes behind those are indeterminate. What is the end of the file, and errors, as for fully(); EINVAL, and nothing is
// read, if the range begins before 0 or ends beyond what an offset can say. Allocates frames, and a buffer for each
// piece that is not aligned. `from` and `out` must stay until the task has ended.
template <class Loop>
task<transfer_result> read_range(Loop& in, const file& from, view<std::byte> out, std::int64_t offset) {
    if (offset < 0 || out.size() > static_cast<std::uint64_t>(INT64_MAX - offset)) co_return transfer_result(0, EINVAL);
    detail::contiguous_progress progress;
    co_await for_each_concurrent(
        detail::pieces(offset, out.size()), detail::pieces::at_once, [&](detail::pieces::piece piece) {
            return detail::read_piece(in, from, piece, out.data() + (piece.offset - offset), progress);
        });
    co_return progress.result(offset, out.size());
}

// Makes `data` the file's whole content: writes it from the beginning on, the last block filled up with zeros, and then
// sets the file's size (ftruncate(2), which may block). Gives the number of bytes that were written from the beginning
// on; after an error the size is not set, and the file may hold any part of the rest. Errors: those of fully() and
// ftruncate; EINVAL for a file with O_APPEND, where nothing can be written but at the end. It says nothing about
// permanence: fdatasync does; and file::close may still have an error to tell. Allocates frames, and a buffer for each
// piece that is not aligned. System calls beside the requests: fcntl, ftruncate. `to` and `data` must stay until the
// task has ended; the bytes must not change.
template <class Loop> task<transfer_result> write_file(Loop& in, const file& to, view<const std::byte> data) {
    if (int const flags = ::fcntl(to.fd(), F_GETFL); flags >= 0 && (flags & O_APPEND) != 0)
        co_return transfer_result(0, EINVAL);
    detail::contiguous_progress progress;
    co_await for_each_concurrent(detail::pieces(0, data.size()), detail::pieces::at_once,
                                 [&](detail::pieces::piece piece) {
                                     return detail::write_piece(in, to, piece, data.data() + piece.offset, progress);
                                 });
    transfer_result const put = progress.result(0, data.size());
    if (!put) co_return put;
    int cut;
    do cut = ::ftruncate(to.fd(), static_cast<off_t>(data.size()));
    while (cut != 0 && errno == EINTR);
    co_return transfer_result(put.bytes(), cut == 0 ? 0 : errno);
}

} // namespace kaio
KAIO_COROUTINES_END
