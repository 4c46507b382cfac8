// read_piece: reads one piece of a range, straight into the caller's memory if it is aligned, else through a buffer.
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

// Reads the piece to `destination`, where there is room for it, unless another piece has stopped.
template <class Loop, open_file File>
task<void> read_piece(Loop& loop, const File& file, pieces::piece piece, std::byte* destination,
                      contiguous_progress& progress) {
    if (progress.stopped()) co_return;
    direct_blocks const blocks(file);
    std::int64_t const begin = blocks.begin_of(piece.offset);
    auto const skipped = static_cast<std::size_t>(piece.offset - begin); // bytes of the block before the piece

    transfer_result done(0, 0);
    if (skipped == 0 && blocks.fit(destination, piece.bytes)) {
        done = co_await loop.submit(fully(read(file, view<std::byte>(destination, piece.bytes), begin)));
    } else {
        auto buffer = aligned_buffer::try_make(blocks.round_up(skipped + piece.bytes), blocks.memory());
        if (!buffer) co_return progress.stopped_at(piece.offset, ENOMEM);
        transfer_result const whole = co_await loop.submit(fully(read(file, *buffer, begin)));
        std::size_t const behind = whole.bytes() > skipped ? whole.bytes() - skipped : 0;
        std::size_t const count = behind < piece.bytes ? behind : piece.bytes;
        std::memcpy(destination, buffer->data() + skipped, count);
        done = transfer_result(count, whole.error().value());
    }
    if (done.bytes() != piece.bytes)
        progress.stopped_at(piece.offset + static_cast<std::int64_t>(done.bytes()), done.error().value());
}

} // namespace kaio::detail
KAIO_COROUTINES_END
