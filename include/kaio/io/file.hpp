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
#include <kaio/sys/exchange.hpp>

namespace kaio {

namespace detail {
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

    // The same without exceptions: the error is open's errno (EINVAL if the file system refuses O_DIRECT).
    static result<file> try_open(const char* path, int flags, mode_t mode = 0) noexcept {
        int fd;
        do fd = ::open(path, flags | O_CLOEXEC | O_LARGEFILE, mode);
        while (fd < 0 && errno == EINTR); // FIFOs and some network file systems
        if (fd < 0) return result<file>::failure(errno);
        return file(fd, (flags & O_DIRECT) != 0);
    }

    // Owns `fd` from now on. Throws std::system_error (EBADF). System calls: fcntl and those of open but for open.
    static file adopt(int fd) { return try_adopt(fd).value("kaio: file::adopt: not an open descriptor"); }
    static result<file> try_adopt(int fd) noexcept {
        int const flags = ::fcntl(fd, F_GETFL);
        if (flags < 0) return result<file>::failure(errno);
        return file(fd, (flags & O_DIRECT) != 0);
    }

    file(file&& other) noexcept : fd_(other.fd_), direct_(other.direct_), alignment_(other.alignment_) {
        other.fd_ = -1;
    }
    file& operator=(file&& other) noexcept {
        file taken(std::move(other));
        fd_ = detail::exchange(taken.fd_, fd_);
        direct_ = taken.direct_;
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
    [[nodiscard]] int release() noexcept { return detail::exchange(fd_, -1); }

    // close(2), with its error: some file systems say only here that data is lost (a quota beyond a network, an upload
    // that failed). It says nothing about permanence: for that, fdatasync. Afterwards fd() is -1, whatever happened, and
    // it must not be tried again: after an error too, EINTR included, Linux has let go of the descriptor. Without a file
    // it does nothing. May block. Throws std::system_error (EIO, ENOSPC, EDQUOT, EINTR; EBADF: it was closed behind this
    // object's back). REQUIRES: every request that names it has completed.
    void close() { try_close().value("kaio: file::close: the file system may have lost what was written"); }
    result<void> try_close() noexcept {
        int const fd = release();
        if (fd >= 0 && ::close(fd) != 0) return result<void>::failure(errno);
        return {};
    }

    // True if it was opened (or had been, before it was adopted) with O_DIRECT.
    bool direct() const noexcept { return direct_; }

    // What direct I/O on this file needs: from statx with STATX_DIOALIGN (6.1), for block devices from BLKSSZGET, else
    // 4096 and 4096, which every common file system accepts (tmpfs takes any alignment, btrfs needs its sector). Meant
    // to be used whether the file was opened with O_DIRECT or not.
    file_alignment alignment() const noexcept { return alignment_; }

    // The size in bytes, of a regular file or a block device; one or two system calls.
    // Throws std::system_error (EBADF, or what the device says).
    std::uint64_t size() const { return try_size().value("kaio: file::size"); }
    result<std::uint64_t> try_size() const noexcept {
        struct stat status;
        if (::fstat(fd_, &status) != 0) return result<std::uint64_t>::failure(errno);
        std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
        if (S_ISBLK(status.st_mode) && ::ioctl(fd_, detail::ioctl_device_size, &size) != 0)
            return result<std::uint64_t>::failure(errno);
        return size;
    }

private:
    file(int fd, bool direct) noexcept : fd_(fd), direct_(direct), alignment_(find_alignment(fd)) {}

    static file_alignment find_alignment(int fd) noexcept {
        // Older C libraries know neither statx nor the field, so both are spelt out: the mask bit and, in units of four
        // bytes, the places of stx_mode (u16), stx_mask and the two alignments in the 256 bytes of struct statx.
        constexpr unsigned mask_dioalign = 0x2000, mask_type = 1;
        alignas(8) std::uint32_t status[64] = {};
        constexpr int stx_mask = 0, stx_mode_word = 7, stx_dio_mem_align = 38, stx_dio_offset_align = 39;
        if (::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, mask_dioalign | mask_type, status) == 0) {
            std::uint16_t mode;
            __builtin_memcpy(&mode, &status[stx_mode_word], sizeof mode);
            file_alignment const found{status[stx_dio_mem_align], status[stx_dio_offset_align]};
            if ((status[stx_mask] & mask_dioalign) && found.memory != 0 && found.offset != 0) return found;
            if (!S_ISBLK(mode)) return {4096, 4096};
        }
        int sector = 0; // of a file that is no block device, or of which statx (before 4.11) said nothing, this fails
        if (::ioctl(fd, detail::ioctl_sector_size, &sector) == 0 && sector > 0)
            return {static_cast<std::uint32_t>(sector), static_cast<std::uint32_t>(sector)};
        return {4096, 4096};
    }

    [[noreturn, gnu::__cold__, gnu::__noinline__]] static void throw_open_error(const char* path, int flags, int error) {
        char text[4608]; // a path has at most 4096 bytes
        std::snprintf(text, sizeof text, "kaio: open(\"%.4096s\")%s", path,
                      error == EINVAL && (flags & O_DIRECT)
                          ? ": it is a directory, the file system refuses O_DIRECT, or another flag is bad; open it "
                            "without O_DIRECT, or keep it on a file system that has direct I/O (ext4, xfs, btrfs, "
                            "tmpfs since 6.6)"
                          : "");
        detail::throw_error(error, text);
    }

    int fd_ = -1;
    bool direct_ = false;
    file_alignment alignment_{4096, 4096};
};

} // namespace kaio
