// write_piece: writes one piece of a file, straight from the caller's memory if it is aligned, else through a buffer.
#pragma once

#include <kaio/coro/coroutine.hpp>

#include <cassert>
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

// Writes the bytes of the piece from `source`, its last block filled up with zeros, unless another piece has stopped.
template <class Loop, open_file File>
task<void> write_piece(Loop& loop, const File& file, pieces::piece piece, const std::byte* source,
                       contiguous_progress& progress) {
    if (progress.stopped()) co_return;
    direct_blocks const blocks(file);
    assert(blocks.begin_of(piece.offset) == piece.offset && "kaio: a piece to write begins inside a block");

    transfer_result done(0, 0);
    if (blocks.fit(source, piece.bytes)) {
        done = co_await loop.submit(fully(write(file, view<const std::byte>(source, piece.bytes), piece.offset)));
    } else {
        auto buffer = aligned_buffer::try_make(blocks.round_up(piece.bytes), blocks.memory());
        if (!buffer) co_return progress.stopped_at(piece.offset, ENOMEM);
        std::memcpy(buffer->data(), source, piece.bytes);
        std::memset(buffer->data() + piece.bytes, 0, buffer->size() - piece.bytes);
        done = co_await loop.submit(fully(write(file, *buffer, piece.offset)));
    }
    if (done.bytes() < piece.bytes)
        progress.stopped_at(piece.offset + static_cast<std::int64_t>(done.bytes()), done.error().value());
}

} // namespace kaio::detail
KAIO_COROUTINES_END
