// overwrite_piece: writes one piece of a range, straight from the caller's memory if it is aligned, else through a
// buffer. What stands around the piece in its first and last block is read first, and written as it was.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <kaio/coro/detail/contiguous_progress.hpp>
#include <kaio/coro/detail/direct_blocks.hpp>
#include <kaio/coro/detail/pieces.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/transfer.hpp>

KAIO_COROUTINES_BEGIN
namespace kaio::inline KAIO_BUILD::detail {

// Reads a block at `offset` into `memory`, zeros behind the end of the file. Returns the number of bytes before that.
template <class Loop, open_file File>
task<transfer_result> read_block(Loop& loop, const File& file, view<std::byte> memory, std::int64_t offset) {
    transfer_result const done = co_await loop.submit(fully(read(file, memory, offset)));
    std::memset(memory.data() + done.bytes(), 0, memory.size() - done.bytes());
    co_return done;
}

// Writes the bytes of the piece from `source`, unless another piece has stopped. If that has made the file end behind
// them, because a block is written whole, `size` becomes what the file's size should be.
template <class Loop, open_file File>
task<void> overwrite_piece(Loop& loop, const File& file, pieces::piece piece, const std::byte* source,
                           contiguous_progress& progress, std::int64_t& size) {
    if (progress.stopped()) co_return;
    direct_blocks const blocks(file);
    std::int64_t const begin = blocks.begin_of(piece.offset);
    auto const skipped = static_cast<std::size_t>(piece.offset - begin); // bytes of the block before the piece

    transfer_result done(0, 0);
    if (skipped == 0 && blocks.fit(source, piece.bytes)) {
        done = co_await loop.submit(fully(write(file, view<const std::byte>(source, piece.bytes), begin)));
    } else {
        std::size_t const end = skipped + piece.bytes, block = blocks.round_up(1);
        auto buffer = aligned_buffer::try_make(blocks.round_up(end), blocks.memory());
        if (!buffer) co_return progress.stopped_at(piece.offset, ENOMEM);
        view<std::byte> const bytes = *buffer;
        std::size_t const last = bytes.size() - block; // where the last block begins
        std::size_t content = bytes.size();            // of what is written, what belongs to the file
        if (skipped != 0 || (last == 0 && end != block)) {
            transfer_result const old = co_await read_block(loop, file, bytes.first(block), begin);
            if (!old) co_return progress.stopped_at(piece.offset, old.error().value());
            if (last == 0) content = old.bytes();
        }
        if (last != 0 && end != bytes.size()) {
            std::int64_t const offset = begin + static_cast<std::int64_t>(last);
            transfer_result const old = co_await read_block(loop, file, bytes.last(block), offset);
            if (!old) co_return progress.stopped_at(piece.offset, old.error().value());
            content = last + old.bytes();
        }
        if (content < end) content = end;
        std::memcpy(bytes.data() + skipped, source, piece.bytes);
        transfer_result const whole = co_await loop.submit(fully(write(file, *buffer, begin)));
        if (whole.bytes() > content) size = begin + static_cast<std::int64_t>(content);
        std::size_t const behind = whole.bytes() > skipped ? whole.bytes() - skipped : 0;
        done = transfer_result(behind < piece.bytes ? behind : piece.bytes, whole.error().value());
    }
    if (done.bytes() != piece.bytes)
        progress.stopped_at(piece.offset + static_cast<std::int64_t>(done.bytes()), done.error().value());
}

} // namespace kaio::detail
KAIO_COROUTINES_END
