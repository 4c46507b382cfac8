// What kaio::file reports where a file system accepts O_DIRECT but ignores it.
#include "support/catch.hpp"
#include "support/loop_device.hpp"
#include "support/mounted.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/coro/write_file.hpp>
#include <kaio/kaio.hpp>

namespace {

constexpr unsigned long enough = 64 << 20; // bytes of a file system
constexpr kaio::file_alignment usual{4096, 4096};

bool kernel_reports(const std::string& folder) {
    kaio::file const file = kaio::file::open(folder, O_RDWR | O_TMPFILE, 0600);
    kaio::kernel_statx status{};
    return ::syscall(SYS_statx, file.fd(), "", AT_EMPTY_PATH, kaio::statx_dioalign, &status) == 0 &&
           (status.stx_mask & kaio::statx_dioalign) != 0;
}

// Returns how many of eight writes of 4 KiB were complete when io_submit returned.
unsigned complete_inside(const kaio::file& file) {
    kaio::aligned_buffer buffer(4096);
    kaio::basic_loop<kaio::linux_kernel, kaio::loop_counters> loop(8);
    unsigned good = 0;
    for (int i = 0; i < 8; ++i)
        loop.submit(kaio::write(file, buffer, i * 4096), [&](kaio::io_result r) { good += r.bytes() == 4096; });
    loop.run();
    CHECK(good == 8);
    return static_cast<unsigned>(loop.observer().completed_inside);
}

} // namespace

TEST_CASE("a file whose data is journalled ignores O_DIRECT, and reports that") {
    test::loop_device device(enough);
    test::make_ext4(device);
    test::mounted const medium("ext4", device.path(), "data=journal");
    if (!kernel_reports(medium.folder())) SKIP_TEST("this kernel does not report direct I/O (6.1)");
    std::string const path = medium.folder() + "/file";
    kaio::file file = kaio::file::open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
    CHECK(!file.direct());
    CHECK(file.direct_ignored());
    CHECK(file.support() == kaio::direct_support::unsupported);
    CHECK(file.alignment() == usual);
    CHECK(complete_inside(file) == 8); // through the page cache

    kaio::file moved(std::move(file));
    CHECK(moved.direct_ignored());
    file = std::move(moved);
    CHECK(file.direct_ignored());
    CHECK(kaio::file::adopt(file.release()).direct_ignored());

    kaio::file const plain = kaio::file::open(path, O_RDWR);
    CHECK(!plain.direct());
    CHECK(!plain.direct_ignored()); // it was not opened with O_DIRECT
    CHECK(plain.support() == kaio::direct_support::unsupported);
}

TEST_CASE("a file on plain ext4 has direct I/O, and reports that before it is opened with O_DIRECT") {
    test::loop_device device(enough);
    test::make_ext4(device);
    test::mounted const medium("ext4", device.path(), "");
    if (!kernel_reports(medium.folder())) SKIP_TEST("this kernel does not report direct I/O (6.1)");
    std::string const path = medium.folder() + "/file";
    kaio::file const plain = kaio::file::open(path, O_RDWR | O_CREAT, 0600);
    CHECK(!plain.direct());
    CHECK(!plain.direct_ignored());
    CHECK(plain.support() == kaio::direct_support::reported);
    kaio::file const direct = kaio::file::open(path, O_RDWR | O_DIRECT);
    CHECK(direct.direct());
    CHECK(!direct.direct_ignored());
    CHECK(direct.support() == kaio::direct_support::reported);
}

TEST_CASE("requests respect the alignment of a file that ignores O_DIRECT, because it may heed it later") {
    test::loop_device device(enough);
    test::make_ext4(device, "-I 256 -O inline_data");
    test::mounted const medium("ext4", device.path(), "");
    if (!kernel_reports(medium.folder())) SKIP_TEST("this kernel does not report direct I/O (6.1)");
    std::string const path = medium.folder() + "/file";
    {
        kaio::file const plain = kaio::file::open(path, O_RDWR | O_CREAT, 0600);
        REQUIRE(::pwrite(plain.fd(), "some", 4, 0) == 4);
    }
    kaio::file file = kaio::file::open(path, O_RDWR | O_DIRECT);
    if (!file.direct_ignored()) SKIP_TEST("this kernel does not keep the data in the inode");
    CHECK(kaio::descriptor(file).direct_unit() == 4096);
    CHECK(!kaio::descriptor(file).accepts(nullptr, 10, 0));

    // Odd sizes, several times: after the first write the data has left the inode, and direct I/O begins.
    kaio::loop loop(8);
    std::vector<std::byte> bytes(10'001), seen(bytes.size());
    for (unsigned round = 1; round <= 3; ++round) {
        std::ranges::fill(bytes, static_cast<std::byte>(round));
        CHECK(kaio::sync_wait(loop, kaio::write_file(loop, file, kaio::view<const std::byte>(bytes))));
        REQUIRE(::fsync(file.fd()) == 0);
        CHECK(kaio::sync_wait(loop, kaio::read_range(loop, file, kaio::view<std::byte>(seen), 0)).bytes() ==
              bytes.size());
        CHECK(seen == bytes);
    }
    file = kaio::file::adopt(file.release());
    CHECK(file.direct());
    CHECK(!file.direct_ignored());
}
