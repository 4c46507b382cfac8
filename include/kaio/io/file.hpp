// file: an owned descriptor that knows the alignment its direct I/O needs. Move-only; distinct objects may be used by
// distinct threads. It must stay open until every request that names it has completed: the kernel holds the file from
// submission on, but a request that still waits in a loop names a descriptor only.
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

#include <kaio/io/result.hpp>
#include <kaio/sys/abi.hpp>

namespace kaio::inline KAIO_BUILD {

namespace detail {
inline constexpr const char* open_einval =
    "it is a directory, the file system refuses O_DIRECT, or another flag is bad; open it without O_DIRECT, or keep it "
    "on a file system that has direct I/O (ext4, xfs, btrfs, tmpfs since 6.6)";

struct file_words {
    static constexpr const char* name = "kaio::file";
    static std::string text(int error) {
        std::string const plain = std::system_category().message(error);
        return error == EINVAL ? plain + ": " + open_einval : plain;
    }
};

// From <linux/fs.h>, which can't be included beside glibc 2.36's <sys/mount.h>.
inline constexpr unsigned long ioctl_sector_size = _IO(0x12, 104);               // BLKSSZGET, to an int
inline constexpr unsigned long ioctl_device_size = _IOR(0x12, 114, std::size_t); // BLKGETSIZE64, to a uint64_t
} // namespace detail

// What direct I/O asks of a request, in bytes: powers of two.
struct file_alignment {
    std::uint32_t memory; // of the buffer's address
    std::uint32_t offset; // of the offset in the file and of the length
    friend bool operator==(const file_alignment&, const file_alignment&) = default;
};

// What is known of direct I/O on a file, whether it was opened with O_DIRECT or not.
enum class direct_support : std::uint8_t {
    unknown,     // nobody says: Linux before 6.1, and file systems that don't report it (btrfs, tmpfs, FUSE, NFS)
    reported,    // statx reports its alignment (ext4, xfs, f2fs), or it is a block device
    unsupported, // statx reports that this file has none (ext4 with data=journal), or it is a pipe
};

class file {
public:
    // No file; also what a moved-from file is. fd() is -1.
    file() noexcept = default;

    // open(2), with O_CLOEXEC always added (and O_LARGEFILE, for 32-bit programs). `mode` counts with O_CREAT and
    // O_TMPFILE. Throws std::system_error with open's errno; a file system that refuses O_DIRECT is told from other
    // reasons for EINVAL. System calls: open, statx, for block devices an ioctl. No allocation.
    static file open(const char* path, int flags, mode_t mode = 0) {
        result<file> opened = try_open(path, flags, mode);
        if (!opened) throw_open_error(path, flags, opened.error().value());
        return std::move(*opened);
    }
    static file open(const std::string& path, int flags, mode_t mode = 0) { return open(path.c_str(), flags, mode); }

    // The same without exceptions: the error is open's errno (EINVAL if the file system refuses O_DIRECT, which its
    // message() then says).
    static result<file> try_open(const char* path, int flags, mode_t mode = 0) noexcept {
        int fd;
        do fd = ::open(path, flags | O_CLOEXEC | O_LARGEFILE, mode);
        while (fd < 0 && errno == EINTR); // FIFOs and some network file systems
        if (fd < 0) return failure(errno);
        return file(fd, (flags & O_DIRECT) != 0);
    }

    // Owns `fd` from now on. Throws std::system_error (EBADF). System calls: fcntl and those of open but for open.
    static file adopt(int fd) { return try_adopt(fd).value("kaio: file::adopt: not an open descriptor"); }
    static result<file> try_adopt(int fd) noexcept {
        int const flags = ::fcntl(fd, F_GETFL);
        if (flags < 0) return failure(errno);
        return file(fd, (flags & O_DIRECT) != 0);
    }

    file(file&& other) noexcept
        : fd_(other.fd_), o_direct_(other.o_direct_), support_(other.support_), alignment_(other.alignment_) {
        other.fd_ = -1;
    }
    file& operator=(file&& other) noexcept {
        file taken(std::move(other));
        fd_ = std::exchange(taken.fd_, fd_);
        o_direct_ = taken.o_direct_;
        support_ = taken.support_;
        alignment_ = taken.alignment_;
        return *this;
    }

    // close(2), without its error: close() has that.
    ~file() {
        if (fd_ >= 0) ::close(fd_);
    }

    int fd() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    // Gives the descriptor up, unclosed.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    // close(2), with its error: some file systems say only here that data is lost (a quota beyond a network, an upload
    // that failed). It says nothing about permanence: for that, fdatasync. Afterwards fd() is -1, whatever happened, and
    // it must not be tried again: after an error too, EINTR included, Linux has let go of the descriptor. Without a file
    // it does nothing. May block. Throws std::system_error (EIO, ENOSPC, EDQUOT, EINTR; EBADF: it was closed behind this
    // object's back). REQUIRES: every request that names it has completed.
    void close() { try_close().value("kaio: file::close: the file system may have lost what was written"); }
    result<void> try_close() noexcept {
        int const fd = release();
        if (fd >= 0 && ::close(fd) != 0) return failure(errno);
        return {};
    }

    // True if I/O on it is direct, as far as is known: it was opened (or had been, before it was adopted) with O_DIRECT,
    // and the kernel does not say that this means nothing. Where nobody says anything it is true, although some file
    // systems then still go through the page cache: tmpfs always, btrfs for compressed data and for writes of files
    // with checksums.
    bool direct() const noexcept { return o_direct_ && support_ != direct_support::unsupported; }

    // True if O_DIRECT was accepted and means nothing: the kernel says that this file has no direct I/O. Requests on it
    // go through the page cache, and io_submit does them while the caller waits. So it is with ext4 files whose data is
    // journalled (data=journal, chattr +j) or lies in the inode, that have fs-verity, or that are encrypted without
    // inline encryption.
    bool direct_ignored() const noexcept { return o_direct_ && support_ == direct_support::unsupported; }

    // What the kernel said of direct I/O on this file when this object was made. It may say otherwise later: data that
    // lies in an inode leaves it when the file grows. So requests on a file with O_DIRECT keep to alignment() even where
    // it is ignored; file::adopt(file.release()) asks again.
    direct_support support() const noexcept { return support_; }

    // What direct I/O on this file needs: from statx with STATX_DIOALIGN (6.1), for block devices from BLKSSZGET, else
    // 4096 and 4096, which every common file system accepts (tmpfs takes any alignment, btrfs needs its sector). Meant
    // to be used whether the file was opened with O_DIRECT or not; 4096 too where there is no direct I/O.
    file_alignment alignment() const noexcept { return alignment_; }

    // The size in bytes, of a regular file or a block device; one or two system calls.
    // Throws std::system_error (EBADF, or what the device says).
    std::uint64_t size() const { return try_size().value("kaio: file::size"); }
    result<std::uint64_t> try_size() const noexcept {
        struct stat status;
        if (::fstat(fd_, &status) != 0) return failure(errno);
        std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
        if (S_ISBLK(status.st_mode) && ::ioctl(fd_, detail::ioctl_device_size, &size) != 0)
            return failure(errno);
        return size;
    }

    // What puts the errors of try_open and try_adopt into words.
    static const std::error_category& error_category() noexcept { return detail::words_of<detail::file_words>(); }

private:
    file(int fd, bool o_direct) noexcept : fd_(fd), o_direct_(o_direct) { find_alignment(); }

    void find_alignment() noexcept {
        kernel_statx status{};
        if (::syscall(SYS_statx, fd_, "", AT_EMPTY_PATH, statx_dioalign | statx_type, &status) == 0) {
            if (S_ISFIFO(status.stx_mode)) {
                support_ = direct_support::unsupported; // there O_DIRECT makes packets
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
        int sector = 0; // of a file that is no block device, or of which statx (before 4.11) said nothing, this fails
        if (::ioctl(fd_, detail::ioctl_sector_size, &sector) == 0 && sector > 0) {
            support_ = direct_support::reported;
            alignment_ = {static_cast<std::uint32_t>(sector), static_cast<std::uint32_t>(sector)};
        }
    }

    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void throw_open_error(const char* path, int flags, int error) {
        char text[4608]; // a path has at most 4096 bytes
        bool const einval = error == EINVAL && (flags & O_DIRECT);
        std::snprintf(text, sizeof text, "kaio: open(\"%.4096s\")%s%s", path, einval ? ": " : "",
                      einval ? detail::open_einval : "");
        detail::throw_error(error, text);
    }

    int fd_ = -1;
    bool o_direct_ = false; // it has the flag
    direct_support support_ = direct_support::unknown;
    file_alignment alignment_{4096, 4096};
};

} // namespace kaio
