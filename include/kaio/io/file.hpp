// file: an owned descriptor that knows the alignment of its direct I/O.
//     kaio::file file = kaio::file::open("aio.txt", O_RDWR | O_CREAT | O_DIRECT, 0644);
//     kaio::aligned_buffer buffer(file.alignment().offset, file.alignment().memory);
//     loop.submit(kaio::read(file, buffer, 0), handler);
// It must stay open until every request that names it has completed. The kernel holds the file from submission on, but
// a request that waits in a loop is only a descriptor's number. Distinct files may be used by distinct threads.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/io/detail/error_words.hpp>
#include <kaio/io/detail/open_error.hpp>
#include <kaio/io/file_offset.hpp>
#include <kaio/io/open_file.hpp>
#include <kaio/io/result.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio {
inline namespace KAIO_BUILD {

namespace detail {
// From <linux/fs.h>, which can't be included beside <sys/mount.h> of glibc 2.36.
inline constexpr unsigned long ioctl_sector_size = _IO(0x12, 104);               // BLKSSZGET, to an int
inline constexpr unsigned long ioctl_device_size = _IOR(0x12, 114, std::size_t); // BLKGETSIZE64, to a uint64_t
} // namespace detail

// What is known of direct I/O on a file, whether it was opened with O_DIRECT or not.
enum class direct_support : std::uint8_t {
    unknown,     // nothing reports it: Linux before 6.1, and some file systems (btrfs, tmpfs, FUSE, NFS)
    reported,    // statx reports its alignment (ext4, xfs, f2fs), or it is a block device
    unsupported, // statx reports that this file has none (ext4 with data=journal), or it is a pipe
};

// It can be moved, not copied. Its destructor closes the descriptor without looking at the error, which close()
// returns.
class file {
public:
    // No file, as after moving from it: fd() is -1.
    file() noexcept = default;

    // open(2), always with O_CLOEXEC, and with O_LARGEFILE for 32-bit programs. `mode` counts with O_CREAT and
    // O_TMPFILE.
    // Errors: throws std::system_error with the errno of open. For EINVAL the text names O_DIRECT among the reasons.
    // System calls: open, statx, for block devices an ioctl.
    static file open(const char* path, int flags, mode_t mode = 0) {
        result<file> opened = try_open(path, flags, mode);
        if (!opened) throw_open_error(path, flags, opened.error().value());
        return std::move(*opened);
    }
    static file open(const std::string& path, int flags, mode_t mode = 0) { return open(path.c_str(), flags, mode); }

    // The same without exceptions. The message() of error() names O_DIRECT among the reasons for EINVAL.
    static result<file> try_open(const char* path, int flags, mode_t mode = 0) noexcept {
        int fd;
        do fd = ::open(path, flags | O_CLOEXEC | O_LARGEFILE, mode);
        while (fd < 0 && errno == EINTR); // from FIFOs and some network file systems
        if (fd < 0) return failure(errno);
        return file(fd, (flags & O_DIRECT) != 0);
    }

    // Owns `fd` from now on. Errors: throws std::system_error (EBADF). System calls: fcntl, statx, for block devices an
    // ioctl.
    static file adopt(int fd) { return try_adopt(fd).value("kaio: file::adopt: not an open descriptor"); }
    static result<file> try_adopt(int fd) noexcept {
        int const flags = ::fcntl(fd, F_GETFL);
        if (flags < 0) return failure(errno);
        return file(fd, (flags & O_DIRECT) != 0);
    }

    // The descriptor, or -1 for no file.
    int fd() const noexcept { return fd_.get(); }

    // False for no file.
    explicit operator bool() const noexcept { return fd() >= 0; }

    // Returns the descriptor and forgets it: it is the caller's to close.
    [[nodiscard]] int release() noexcept { return fd_.release(); }

    // close(2), with its error: some file systems report only here that data is lost (a quota beyond a network, an
    // upload that failed). Success says nothing about permanence, for which there is fdatasync. Afterwards fd() is -1.
    // It must not be tried again after an error, EINTR included, because Linux has let go of the descriptor. Without a
    // file nothing happens. May block. REQUIRES: every request that names it has completed.
    // Errors: throws std::system_error (EIO, ENOSPC, EDQUOT, EINTR, or EBADF if someone else has closed it).
    void close() { try_close().value("kaio: file::close: the file system may have lost what was written"); }
    result<void> try_close() noexcept {
        int const fd = release();
        if (fd >= 0 && ::close(fd) != 0) return failure(errno);
        return {};
    }

    // True if I/O on it is direct, as far as is known: it has O_DIRECT, and the kernel does not report that this means
    // nothing. Where nothing is reported it is true, although some file systems still use the page cache: tmpfs always,
    // btrfs for compressed data, and for writes to files with checksums.
    bool direct() const noexcept { return o_direct_ && support_ != direct_support::unsupported; }

    // True if O_DIRECT was accepted and means nothing: the kernel reports that this file has no direct I/O. Requests on
    // it go through the page cache, and io_submit does them while the caller waits. Such are ext4 files whose data is
    // journalled (data=journal, chattr +j) or lies in the inode, with fs-verity, or encrypted without inline
    // encryption.
    bool direct_ignored() const noexcept { return o_direct_ && support_ == direct_support::unsupported; }

    // What the kernel reported of direct I/O on this file when this object was made. It may report otherwise later:
    // data that lies in an inode leaves it when the file grows. So requests on a file with O_DIRECT keep to alignment()
    // even where it is ignored. file::adopt(file.release()) asks again.
    direct_support support() const noexcept { return support_; }

    // What direct I/O on this file needs, with or without O_DIRECT. It comes from statx with STATX_DIOALIGN (6.1), or
    // for block devices from BLKSSZGET. Else, and where there is no direct I/O, it is 4096 and 4096, which every common
    // file system accepts (tmpfs takes any alignment, btrfs needs its sector).
    file_alignment alignment() const noexcept { return alignment_; }

    // The size in bytes of a regular file or a block device.
    // Errors: throws std::system_error (EBADF, or what the device reports). System calls: fstat, for block devices an
    // ioctl.
    std::uint64_t size() const { return try_size().value("kaio: file::size"); }
    result<std::uint64_t> try_size() const noexcept {
        struct stat status;
        if (::fstat(fd(), &status) != 0) return failure(errno);
        std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
        if (S_ISBLK(status.st_mode) && ::ioctl(fd(), detail::ioctl_device_size, &size) != 0) return failure(errno);
        return size;
    }

    // ftruncate(2): cuts the file, or lengthens it with zeros. May block. Success says nothing about permanence.
    // Errors: throws std::system_error (EINVAL for a negative size, and for what is no regular file or is not open for
    // writing; EFBIG, EIO, EPERM). System calls: ftruncate.
    void truncate(file_offset size) const { try_truncate(size).value("kaio: file::truncate"); }
    result<void> try_truncate(file_offset size) const noexcept {
        auto const length = detail::narrow<off_t>(size.value());
        if (length != size.value()) return failure(EFBIG); // a 32-bit program without _FILE_OFFSET_BITS=64
        int failed;
        do failed = ::ftruncate(fd(), length);
        while (failed != 0 && errno == EINTR);
        if (failed != 0) return failure(errno);
        return {};
    }

    // True if it has O_APPEND: every write goes to its end, whatever the offset is. System calls: fcntl.
    bool appends() const noexcept {
        int const flags = ::fcntl(fd(), F_GETFL);
        return flags >= 0 && (flags & O_APPEND) != 0;
    }

    // The category of try_open's and try_adopt's errors.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::file_words>(); }

private:
    struct close_descriptor {
        void operator()(int fd) const noexcept { ::close(fd); }
    };

    file(int fd, bool o_direct) noexcept : fd_(fd), o_direct_(o_direct) { find_alignment(); }

    void find_alignment() noexcept {
        kernel_statx status{};
        if (::syscall(SYS_statx, fd(), "", AT_EMPTY_PATH, statx_dioalign | statx_type, &status) == 0) {
            if (S_ISFIFO(status.stx_mode)) {
                support_ = direct_support::unsupported; // O_DIRECT makes packets there
                return;
            }
            if (status.stx_mask & statx_dioalign) {
                bool const some = status.stx_dio_mem_align != 0 && status.stx_dio_offset_align != 0;
                support_ = some ? direct_support::reported : direct_support::unsupported;
                if (some) alignment_ = {status.stx_dio_mem_align, status.stx_dio_offset_align};
                return;
            }
            if (!S_ISBLK(status.stx_mode)) return;
        }
        int sector = 0; // the ioctl fails for what is no block device, when statx (before 4.11) told nothing
        if (::ioctl(fd(), detail::ioctl_sector_size, &sector) == 0 && sector > 0) {
            support_ = direct_support::reported;
            alignment_ = {static_cast<std::uint32_t>(sector), static_cast<std::uint32_t>(sector)};
        }
    }

    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void throw_open_error(const char* path, int flags,
                                                                                int error) {
        char text[4608]; // a path has at most 4096 bytes
        bool const einval = error == EINVAL && (flags & O_DIRECT);
        std::snprintf(text, sizeof text, "kaio: open(\"%.4096s\")%s%s", path, einval ? ": " : "",
                      einval ? detail::open_einval : "");
        detail::throw_error(error, text);
    }

    detail::owned<int, -1, close_descriptor> fd_{};
    bool o_direct_ = false; // it has the flag
    direct_support support_ = direct_support::unknown;
    file_alignment alignment_{4096, 4096};
};
#if __cplusplus >= 202002L
static_assert(truncatable_file<file>);
#endif

} // namespace KAIO_BUILD
} // namespace kaio
