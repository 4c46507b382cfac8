// A file with known content that is gone at the end of the test: in a given folder, in $TMPDIR, or in memory (tmpfs).
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace test {

class temporary_file {
public:
    // `size` bytes; byte i is content(i).
    explicit temporary_file(std::size_t size = 0, std::string folder = usual_folder())
        : path_(folder + "/kaio-test-XXXXXX") {
        fd_ = ::mkostemp(path_.data(), O_CLOEXEC);
        if (fd_ < 0) std::abort();
        std::vector<unsigned char> bytes(size);
        for (std::size_t i = 0; i < size; ++i) bytes[i] = content(i);
        if (::pwrite(fd_, bytes.data(), size, 0) != static_cast<ssize_t>(size)) std::abort();
    }
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;
    ~temporary_file() {
        ::close(fd_);
        ::unlink(path_.c_str());
    }

    static std::string usual_folder() {
        const char* const named = std::getenv("TMPDIR");
        return named ? named : "/dev/shm";
    }

    static unsigned char content(std::size_t i) { return static_cast<unsigned char>((i * 31 + i / 4096 * 7) & 0xff); }

    int fd() const noexcept { return fd_; }
    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
    int fd_;
};

} // namespace test
