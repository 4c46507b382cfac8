#include "input.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bench {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::system_category(), what); }

// A file that is removed when this goes out of scope; what has it open keeps it until then.
class temporary_file {
public:
    temporary_file(const std::string& folder, std::uint64_t size) : path_(folder + "/kaio-bench-XXXXXX") {
        fd_ = ::mkstemp(path_.data());
        if (fd_ < 0) fail("no temporary file in " + folder);
        try {
            fill(size);
        } catch (...) {
            remove();
            throw;
        }
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    ~temporary_file() { remove(); }
    const std::string& path() const noexcept { return path_; }

private:
    // Real bytes: holes would be read without the device.
    void fill(std::uint64_t size) {
        std::vector<unsigned char> bytes(1 << 20);
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37 + (i >> 12));
        for (std::uint64_t done = 0; done < size;) {
            std::uint64_t const part = size - done < bytes.size() ? size - done : bytes.size();
            ssize_t const written = ::write(fd_, bytes.data(), part);
            if (written <= 0) fail("writing " + path_ + " (a smaller --size, or another $TMPDIR, may do)");
            done += static_cast<std::uint64_t>(written);
        }
        if (::fsync(fd_) != 0) fail("fsync of " + path_);
    }
    void remove() noexcept {
        ::close(fd_);
        ::unlink(path_.c_str());
    }

    std::string path_;
    int fd_;
};

// What a shell command prints, its errors too, without the last newline.
std::string output(const std::string& command) {
    std::string text;
    std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    for (int c; pipe && (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    if (pipe) ::pclose(pipe);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

kaio::file open_file(const std::string& path, bool buffered, std::string& notice) {
    if (!buffered) {
        auto direct = kaio::file::try_open(path.c_str(), O_RDONLY | O_DIRECT);
        if (direct) return std::move(*direct);
        if (direct.error().value() != EINVAL)
            throw std::system_error(direct.error(), path); // O_DIRECT is not what is wrong
        notice = "No O_DIRECT on this file system: the reads go through the page cache, so this measures copying.";
    }
    auto plain = kaio::file::try_open(path.c_str(), O_RDONLY);
    if (!plain) throw std::system_error(plain.error(), path);
    return std::move(*plain);
}

// The kernel keeps a loop device, and its file, while someone has it open: both are given up as soon as it is open
// here, so that they vanish with this process, however it ends.
kaio::file open_loop_device(const input_options& options, std::string& notice, std::string& path) {
    if (::geteuid() != 0)
        throw std::runtime_error("--loop-device needs root, for losetup; without root, name a file or a device");
    temporary_file const backing("/dev/shm", options.size);
    std::string const losetup = "PATH=$PATH:/usr/sbin:/sbin losetup ";
    path = output(losetup + "--find --show --read-only --direct-io=on " + backing.path());
    if (path.rfind("/dev/", 0) != 0) throw std::runtime_error("no loop device: " + path);
    struct detach {
        std::string command;
        ~detach() { output(command); }
    } const detach{losetup + "--detach " + path};
    return open_file(path, options.buffered, notice);
}

} // namespace

input open_input(const input_options& options) {
    input in;
    std::string path = options.path;
    if (options.loop_device) {
        in.file = open_loop_device(options, in.notice, path);
        path += ", a loop device with direct I/O over memory";
    } else if (path.empty()) {
        const char* const folder = std::getenv("TMPDIR");
        temporary_file const made(folder && *folder ? folder : ".", options.size);
        in.file = open_file(made.path(), options.buffered, in.notice);
        path = made.path() + ", temporary";
    } else {
        in.file = open_file(path, options.buffered, in.notice);
    }
    struct stat status;
    if (::fstat(in.file.fd(), &status) != 0) fail(path);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        throw std::runtime_error(path + ": neither a file nor a block device");
    auto const size = in.file.try_size();
    if (!size) throw std::system_error(size.error(), path);
    in.size = *size;
    if (in.size < options.block)
        throw std::runtime_error(fmt::format("{}: {} bytes, less than one block of {}", path, in.size, options.block));
    if (in.file.direct() && options.block % in.file.alignment().offset != 0)
        throw std::runtime_error(fmt::format("--block {}: direct I/O on {} needs a multiple of {}", options.block, path,
                                             in.file.alignment().offset));
    in.description = fmt::format("{} ({} MiB, {})", path, in.size >> 20, in.file.direct() ? "O_DIRECT" : "buffered");
    return in;
}

} // namespace bench
