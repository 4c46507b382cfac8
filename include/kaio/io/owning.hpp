// owning: something to submit, together with the buffer that it reads into or writes from. The buffer travels with it
// and comes back with the result, so nothing else must keep it meanwhile.
//     loop.submit(kaio::write(file, std::move(buffer), 0),
//                 [](kaio::io_result result, kaio::aligned_buffer buffer) { use(result, buffer); });
//     auto [result, buffer] = co_await loop.submit(kaio::read(file, kaio::aligned_buffer(4096), 0));
// read() and write() make one of a buffer that is an rvalue and owns its bytes: an aligned_buffer, a pool's handle, a
// std::vector, a std::string, any type with data() and size() that can be moved. What only shows bytes, such as a
// std::span, is borrowed also as an rvalue. A type of your own that only shows them says so as for the standard
// library: by std::ranges::enable_borrowed_range. Any thread.
#pragma once

#include <kaio/sys/language.hpp>

#include <iterator>
#include <type_traits>
#include <utility>

#include <kaio/io/view.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

// `Work` is a request or a whole_transfer. Where the buffer lies is looked up when the kernel is given the request, so
// one whose bytes move with it (a std::array, a short std::string) is right, too.
template <class Work, class Buffer>
class KAIO_NODISCARD("kaio: this only describes work, and does nothing until it is submitted") owning {
    static_assert(std::is_same_v<Buffer, std::remove_cv_t<std::remove_reference_t<Buffer>>>);
    static_assert(std::is_move_constructible_v<Buffer>, "kaio: a buffer that is handed over must be movable");

public:
    owning(const Work& described, Buffer&& handed_over) noexcept(std::is_nothrow_move_constructible_v<Buffer>)
        : work_(described), buffer_(std::move(handed_over)) {}

    // The request or transfer, which names the buffer where it was when this was made.
    const Work& work() const noexcept { return work_; }

    // The buffer, which is here until this is submitted.
    [[gnu::__always_inline__]] Buffer& buffer() noexcept { return buffer_; }

    // The modifiers of kaio::request.
    owning flags(rw_flags flags) && { return {work_.flags(flags), std::move(buffer_)}; }
    owning priority(priority_class klass, unsigned level = 4) && {
        return {work_.priority(klass, level), std::move(buffer_)};
    }
    owning notify(int eventfd) && { return {work_.notify(eventfd), std::move(buffer_)}; }

    // For the raw layer: the iocb, which names the buffer where it lies now. So this must stay where it is until the
    // request has completed.
    operator iocb() noexcept {
        iocb block = work_;
        block.aio_buf = reinterpret_cast<std::uintptr_t>(std::data(buffer_));
        return block;
    }

private:
    Work work_;
    Buffer buffer_;
};

namespace detail {

// An rvalue of this type is handed over, because it owns its bytes. `Buffer` is as deduced for a `Buffer&&`.
template <class Buffer>
inline constexpr bool is_handed_over = !std::is_lvalue_reference_v<Buffer> && !is_borrowed<std::remove_cv_t<Buffer>>;

template <class What> inline constexpr bool is_owning = false;
template <class Work, class Buffer> inline constexpr bool is_owning<owning<Work, Buffer>> = true;

} // namespace detail
} // namespace KAIO_BUILD
} // namespace kaio
