#include "loop_device.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace bench {
namespace {

[[noreturn]] void fail(const std::string& call) { throw std::system_error(errno, std::system_category(), call); }

struct descriptor {
    int fd;
    ~descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

} // namespace

kaio::file make_loop_device(std::uint64_t size, const std::function<void(int)>& fill) {
    if (::geteuid() != 0) throw std::runtime_error("a loop device needs root; without it, name a file or a device");
    // The memory has no name, and lives as long as the device.
    descriptor const memory{::memfd_create("kaio-bench", MFD_CLOEXEC)};
    if (memory.fd < 0 || ::ftruncate(memory.fd, static_cast<off_t>(size)) != 0) fail("memory for a loop device");
    fill(memory.fd);

    descriptor const control{::open("/dev/loop-control", O_RDWR | O_CLOEXEC)};
    if (control.fd < 0) fail("/dev/loop-control");
    loop_config configuration{};
    configuration.fd = static_cast<std::uint32_t>(memory.fd);
    configuration.info.lo_flags =
        LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO; // autoclear: it ends with its last descriptor
    for (int tries = 0; tries < 100; ++tries) {
        int const number = ::ioctl(control.fd, LOOP_CTL_GET_FREE);
        if (number < 0) fail("no free loop device");
        std::string const path = "/dev/loop" + std::to_string(number);
        auto device = kaio::file::try_open(path.c_str(), O_RDWR);
        if (!device) throw std::system_error(device.error(), path);
        if (::ioctl(device->fd(), LOOP_CONFIGURE, &configuration) == 0) return std::move(*device);
        if (errno != EBUSY) fail("LOOP_CONFIGURE of " + path + " (needs Linux 5.8)");
        // another process was faster
    }
    throw std::runtime_error("no loop device: others take them as fast as they come");
}

std::string loop_device_path(const kaio::file& device) {
    loop_info64 info{};
    if (::ioctl(device.fd(), LOOP_GET_STATUS64, &info) != 0) fail("LOOP_GET_STATUS64");
    return "/dev/loop" + std::to_string(info.lo_number);
}

} // namespace bench
