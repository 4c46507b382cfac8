// A loop device with direct I/O over a file, in memory unless told otherwise: truly asynchronous on any machine. Needs
// root.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace test {

class loop_device {
public:
    // `bytes` large, with sectors of so many bytes. False, with why_not(), where there can be none.
    explicit loop_device(unsigned long bytes, unsigned sector = 512, const std::string& folder = "/dev/shm") {
        if (::geteuid() != 0) {
            why_not_ = "a loop device needs root";
            return;
        }
        std::string file = folder + "/kaio-loop-XXXXXX";
        backing_ = ::mkostemp(file.data(), O_CLOEXEC);
        if (backing_ < 0 || ::unlink(file.c_str()) != 0 || ::ftruncate(backing_, static_cast<off_t>(bytes)) != 0)
            std::abort();
        loop_config config{};
        config.fd = static_cast<unsigned>(backing_);
        config.block_size = sector;
        config.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR; // gone when the last descriptor is closed
        int const control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        do attach(control, config);
        while (device_ < 0 && errno == EBUSY); // another process was faster
        if (device_ < 0) why_not_ = "no loop device here: " + std::string(std::strerror(errno));
        ::close(control);
    }
    loop_device(const loop_device&) = delete;
    loop_device& operator=(const loop_device&) = delete;
    ~loop_device() {
        if (device_ >= 0) ::close(device_);
        if (backing_ >= 0) ::close(backing_);
    }

    explicit operator bool() const noexcept { return device_ >= 0; }
    const std::string& path() const noexcept { return path_; }
    int backing() const noexcept { return backing_; } // the file
    const std::string& why_not() const noexcept { return why_not_; }

private:
    // Sets device_, or errno.
    void attach(int control, const loop_config& config) {
        int const number = ::ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0) return;
        path_ = "/dev/loop" + std::to_string(number);
        int const device = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
        if (device < 0) return;
        if (::ioctl(device, LOOP_CONFIGURE, &config) == 0) {
            device_ = device;
            return;
        }
        int const error = errno;
        ::close(device);
        errno = error;
    }

    int device_ = -1, backing_ = -1;
    std::string path_, why_not_;
};

} // namespace test
