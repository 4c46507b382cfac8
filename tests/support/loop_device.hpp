// A loop device with direct I/O over a file in memory: truly asynchronous on any machine. Needs root.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include <unistd.h>

namespace test {

class loop_device {
public:
    // `bytes` large, with sectors of so many bytes. False, with why_not(), where there can be none.
    explicit loop_device(unsigned long bytes, unsigned sector = 512) {
        if (::geteuid() != 0) {
            why_not_ = "a loop device needs root";
            return;
        }
        file_ = "/dev/shm/kaio-loop-XXXXXX";
        int const fd = ::mkstemp(file_.data());
        if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) std::abort();
        ::close(fd);
        path_ = output("PATH=$PATH:/sbin:/usr/sbin losetup --find --show --direct-io=on --sector-size " +
                       std::to_string(sector) + " " + file_ + " 2>&1");
        if (path_.rfind("/dev/", 0) != 0) {
            why_not_ = "losetup: " + path_;
            path_.clear();
        }
    }
    loop_device(const loop_device&) = delete;
    loop_device& operator=(const loop_device&) = delete;
    ~loop_device() {
        if (!path_.empty()) output("PATH=$PATH:/sbin:/usr/sbin losetup --detach " + path_);
        if (!file_.empty()) ::unlink(file_.c_str());
    }

    explicit operator bool() const noexcept { return !path_.empty(); }
    const std::string& path() const noexcept { return path_; }
    const std::string& why_not() const noexcept { return why_not_; }

    // What a shell command prints, without the last newline.
    static std::string output(const std::string& command) {
        std::string text;
        std::FILE* const pipe = ::popen(command.c_str(), "r");
        for (int c; pipe && (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
        if (pipe) ::pclose(pipe);
        while (!text.empty() && text.back() == '\n') text.pop_back();
        return text;
    }

private:
    std::string file_, path_, why_not_;
};

} // namespace test
