// What the compiler can check. The static_asserts are the test, so linking this file is enough.
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <kaio/kaio.hpp>

namespace kaio {
#define KAIO_IOCB_LAYOUT(type, key, flags)                                                                             \
    static_assert(sizeof(type) == 64 && std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>);        \
    static_assert(offsetof(type, aio_data) == 0 && offsetof(type, aio_key) == key);                                    \
    static_assert(offsetof(type, aio_rw_flags) == flags && offsetof(type, aio_lio_opcode) == 16);                      \
    static_assert(offsetof(type, aio_reqprio) == 18 && offsetof(type, aio_fildes) == 20);                              \
    static_assert(offsetof(type, aio_buf) == 24 && offsetof(type, aio_nbytes) == 32);                                  \
    static_assert(offsetof(type, aio_offset) == 40 && offsetof(type, aio_reserved2) == 48);                            \
    static_assert(offsetof(type, aio_flags) == 56 && offsetof(type, aio_resfd) == 60)
KAIO_IOCB_LAYOUT(iocb_little_endian, 8, 12);
KAIO_IOCB_LAYOUT(iocb_big_endian, 12, 8);
#undef KAIO_IOCB_LAYOUT

static_assert(sizeof(io_event) == 32 && offsetof(io_event, data) == 0 && offsetof(io_event, obj) == 8);
static_assert(std::is_aggregate_v<io_event> && std::is_trivial_v<io_event> && std::is_standard_layout_v<io_event>);
static_assert(offsetof(io_event, res) == 16 && offsetof(io_event, res2) == 24);
static_assert(sizeof(aio_ring) == 32 && offsetof(aio_ring, id) == 0 && offsetof(aio_ring, nr) == 4);
static_assert(offsetof(aio_ring, head) == 8 && offsetof(aio_ring, tail) == 12 && offsetof(aio_ring, magic) == 16);
static_assert(offsetof(aio_ring, compat_features) == 20 && offsetof(aio_ring, incompat_features) == 24);
static_assert(offsetof(aio_ring, header_length) == 28);
static_assert(sizeof(kernel_timespec) == 16 && offsetof(kernel_timespec, tv_nsec) == 8);
static_assert(sizeof(kernel_timespec32) == 8 && offsetof(kernel_timespec32, tv_nsec) == 4);
static_assert(sizeof(basic_aio_sigset<std::uint32_t>) == 8 && sizeof(basic_aio_sigset<std::uint64_t>) == 16);
static_assert(sizeof(kernel_statx) == 256 && offsetof(kernel_statx, stx_mask) == 0);
static_assert(offsetof(kernel_statx, stx_mode) == 28 && offsetof(kernel_statx, stx_size) == 40);
static_assert(offsetof(kernel_statx, stx_mtime) == 112 && offsetof(kernel_statx, stx_mnt_id) == 144);
static_assert(offsetof(kernel_statx, stx_dio_mem_align) == 152 && offsetof(kernel_statx, stx_dio_offset_align) == 156);
} // namespace kaio

// The kernel's own header has the same layout, if it is installed and new enough (6.1). With other C libraries than
// glibc it can't be included, because they have their own struct statx.
#if defined(__GLIBC__) && __has_include(<linux/stat.h>)
#include <linux/stat.h>
#ifdef STATX_DIOALIGN
#define KAIO_SAME_PLACE(field)                                                                                         \
    static_assert(offsetof(kaio::kernel_statx, field) == offsetof(struct statx, field) &&                              \
                  sizeof(kaio::kernel_statx::field) == sizeof(statx::field))
KAIO_SAME_PLACE(stx_mask);
KAIO_SAME_PLACE(stx_blksize);
KAIO_SAME_PLACE(stx_attributes);
KAIO_SAME_PLACE(stx_nlink);
KAIO_SAME_PLACE(stx_mode);
KAIO_SAME_PLACE(stx_ino);
KAIO_SAME_PLACE(stx_size);
KAIO_SAME_PLACE(stx_blocks);
KAIO_SAME_PLACE(stx_attributes_mask);
KAIO_SAME_PLACE(stx_atime);
KAIO_SAME_PLACE(stx_mtime);
KAIO_SAME_PLACE(stx_rdev_major);
KAIO_SAME_PLACE(stx_dev_minor);
KAIO_SAME_PLACE(stx_mnt_id);
KAIO_SAME_PLACE(stx_dio_mem_align);
KAIO_SAME_PLACE(stx_dio_offset_align);
#undef KAIO_SAME_PLACE
static_assert(sizeof(kaio::kernel_statx) == sizeof(struct statx));
static_assert(kaio::statx_type == STATX_TYPE && kaio::statx_dioalign == STATX_DIOALIGN);
#endif
#endif

static_assert(sizeof(kaio::request) <= 72 && std::is_trivially_copyable_v<kaio::request>);
static_assert(sizeof(kaio::io_result) == 8 && std::is_trivially_copyable_v<kaio::io_result>);
static_assert(std::is_empty_v<kaio::linux_kernel>);
static_assert(kaio::kernel<kaio::linux_kernel>);
static_assert(!kaio::kernel<int>);
static_assert(sizeof(kaio::basic_context<>) <= 48);

template <class T>
constexpr bool move_only = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                           !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(move_only<kaio::file>);
static_assert(move_only<kaio::aligned_buffer>);
static_assert(move_only<kaio::buffer_pool>);
static_assert(move_only<kaio::pooled_buffer>);
static_assert(move_only<kaio::context>);
static_assert(std::is_nothrow_move_constructible_v<kaio::loop> && !std::is_copy_constructible_v<kaio::loop>);

// A result can be copied and assigned if its value can.
static_assert(move_only<kaio::result<kaio::file>> && move_only<kaio::result<kaio::context>>);
static_assert(std::is_nothrow_move_constructible_v<kaio::result<kaio::loop>>);
static_assert(!std::is_move_assignable_v<kaio::result<kaio::loop>>);
static_assert(std::is_copy_constructible_v<kaio::result<std::string>>);
static_assert(std::is_copy_assignable_v<kaio::result<std::string>>);
static_assert(std::is_nothrow_move_assignable_v<kaio::result<std::string>>);
static_assert(std::is_trivially_copyable_v<kaio::result<void>>);
static_assert(std::is_convertible_v<kaio::failure, kaio::result<kaio::file>>);
static_assert(std::is_convertible_v<kaio::failure, kaio::result<int>>);
static_assert(!std::is_convertible_v<int, kaio::failure> && !std::is_convertible_v<int, kaio::result<void>>);

using handler = void (*)(kaio::io_result);
struct takes_nothing {
    void operator()() const;
};
static_assert(kaio::completion_handler<handler>);
static_assert(!kaio::completion_handler<takes_nothing>);
using whole_handler = void (*)(kaio::transfer_result);
static_assert(kaio::transfer_handler<whole_handler> && !kaio::transfer_handler<handler>);
// An operation is an iocb and two pointers. Only AddressSanitizer has where it was submitted.
#if !defined(KAIO_ASAN)
static_assert(sizeof(kaio::operation) == sizeof(kaio::iocb) + 2 * sizeof(void*));
#endif
// Only an operation for whole transfers has room for the progress of one.
static_assert(sizeof(kaio::owned_operation<handler>) <= sizeof(kaio::operation) + alignof(kaio::operation));
static_assert(sizeof(kaio::owned_operation<whole_handler>) > sizeof(kaio::owned_operation<handler>));
// A task that is a variable can't be awaited: std::move it.
template <class Task>
concept awaited = requires(Task&& task) { static_cast<Task&&>(task).operator co_await(); };
static_assert(awaited<kaio::task<>> && !awaited<kaio::task<>&> && !awaited<const kaio::task<>&>);

// No function of the raw layer throws.
using bytes = std::span<std::byte>;
using events = std::span<kaio::io_event>;
static_assert(noexcept(kaio::read(0, std::declval<bytes>(), 0)) && noexcept(kaio::write(0, std::declval<bytes>(), 0)));
static_assert(noexcept(kaio::fsync(0)) && noexcept(kaio::fdatasync(0)) && noexcept(kaio::poll(0, 1)));
static_assert(noexcept(kaio::context::try_make(1)));
static_assert(noexcept(std::declval<kaio::context&>().submit({})));
static_assert(noexcept(std::declval<kaio::context&>().reap(std::declval<events>())));
static_assert(noexcept(std::declval<kaio::context&>().wait(std::declval<events>())));
static_assert(noexcept(std::declval<kaio::context&>().cancel(std::declval<kaio::iocb&>())));
static_assert(noexcept(std::declval<kaio::loop&>().flush()));
static_assert(noexcept(kaio::loop::try_make(1)));
static_assert(noexcept(kaio::file::try_open("", 0)) && noexcept(kaio::file::try_adopt(0)));
static_assert(noexcept(kaio::aligned_buffer::try_make(1)) && noexcept(kaio::buffer_pool::try_make(1, 1)));
static_assert(noexcept(std::declval<kaio::buffer_pool&>().acquire()));

// Without an observer a loop has no room for one.
static_assert(sizeof(kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters>) >= sizeof(kaio::loop) + 56);

// A view can be made from everything that makes a std::span, and converts to one.
template <class From> constexpr bool shows_events = std::is_nothrow_constructible_v<kaio::view<kaio::io_event>, From>;
static_assert(shows_events<events> && shows_events<kaio::io_event (&)[3]> &&
              shows_events<std::vector<kaio::io_event>&>);
static_assert(shows_events<std::array<kaio::io_event, 3>&> && !shows_events<const std::array<kaio::io_event, 3>&>);
static_assert(!shows_events<std::span<const kaio::io_event>> && !shows_events<bytes> && !shows_events<kaio::io_event&>);
static_assert(!shows_events<std::vector<kaio::io_event>> && shows_events<kaio::view<kaio::io_event>>);
static_assert(std::is_convertible_v<kaio::iocb* (&)[1], kaio::view<kaio::iocb* const>>);
static_assert(std::is_convertible_v<kaio::view<std::byte>, bytes> &&
              std::is_convertible_v<kaio::aligned_buffer&, bytes>);
static_assert(std::is_convertible_v<const kaio::aligned_buffer&, std::span<const std::byte>>);
static_assert(!std::is_convertible_v<const kaio::aligned_buffer&, bytes>);
static_assert(std::is_convertible_v<kaio::pooled_buffer&, bytes>);
