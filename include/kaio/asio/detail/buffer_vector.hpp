// A sequence of Asio's buffers as the kernel takes it: an array of at most `Most`. Buffers beyond are left for the next
// transfer, as in Asio's own files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <sys/uio.h>

#include <kaio/asio/detail/library.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD::detail::inline KAIO_ASIO {

template <std::size_t Most> class basic_buffer_vector {
public:
    template <class Buffers> explicit basic_buffer_vector(const Buffers& buffers) noexcept {
        auto const end = net::buffer_sequence_end(buffers);
        for (auto it = net::buffer_sequence_begin(buffers); it != end && count_ < Most; ++it) {
            net::const_buffer const buffer(*it);
            vector_[count_++] = {const_cast<void*>(buffer.data()), buffer.size()};
            bytes_ += buffer.size();
        }
    }

    const iovec* data() const noexcept { return vector_; }
    int count() const noexcept { return static_cast<int>(count_); }
    std::size_t bytes() const noexcept { return bytes_; }

    // Fills in operation and memory. With several buffers the kernel reads the array when the request is submitted.
    void describe(iocb& block, bool reads) const noexcept {
        bool const one = count_ == 1;
        auto const op = one ? (reads ? opcode::pread : opcode::pwrite) : (reads ? opcode::preadv : opcode::pwritev);
        block.aio_lio_opcode = static_cast<std::uint16_t>(op);
        block.aio_buf = reinterpret_cast<std::uintptr_t>(one ? vector_[0].iov_base : vector_);
        block.aio_nbytes = one ? vector_[0].iov_len : count_;
    }

private:
    iovec vector_[Most];
    unsigned count_ = 0;
    std::size_t bytes_ = 0;
};

template <class Buffers>
using buffer_vector = basic_buffer_vector<std::is_convertible_v<const Buffers&, net::const_buffer> ? 1 : 64>;

} // namespace kaio::detail::inline KAIO_ASIO
