// A file system that nobody else sees, and that is gone at the end of the program at the latest. Needs root.
#pragma once

#include <cstdlib>
#include <string>

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "support/catch.hpp"
#include "support/loop_device.hpp"

namespace test {

// Leaves the test case as skipped where mounting is not permitted.
class mounted {
public:
    mounted(const char* type, const std::string& source, const char* options) {
        static bool const own =
            ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        REQUIRE(::mkdtemp(folder_.data()) != nullptr);
        if (own && ::mount(source.c_str(), folder_.c_str(), type, 0, options) == 0) return;
        ::rmdir(folder_.c_str());
        SKIP_TEST(std::string("mounting ") + type + " is not permitted here");
    }
    mounted(const mounted&) = delete;
    mounted& operator=(const mounted&) = delete;
    ~mounted() {
        ::umount2(folder_.c_str(), MNT_DETACH); // a loop device may still be going away
        ::rmdir(folder_.c_str());
    }

    const std::string& folder() const { return folder_; }

private:
    std::string folder_ = "/tmp/kaio-mount-XXXXXX";
};

// `options` are mkfs.ext4's.
inline void make_ext4(const loop_device& device, const std::string& options = "") {
    if (!device) SKIP_TEST(device.why_not());
    int const status =
        std::system(("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q " + options + " " + device.path()).c_str());
    if (status == 127 << 8) SKIP_TEST("mkfs.ext4 is not installed");
    REQUIRE(status == 0);
}

} // namespace test
