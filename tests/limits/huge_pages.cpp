// Pools with huge pages where mmap succeeds but the first touch finds no page: in a cgroup that grants none or too few
// of them, and in a forked child.
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/mounted.hpp"

#include <cstddef>
#include <fstream>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <kaio/io/buffer_pool.hpp>

namespace {

constexpr kaio::buffer_pool_options huge{.huge_pages = true};
constexpr std::size_t huge_page = 2 << 20;
constexpr const char* setting = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
constexpr const char* unused = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";

long number_in(const std::string& path) {
    long number = -1;
    std::ifstream(path) >> number;
    return number;
}

bool write_to(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
}

// Keeps this many huge pages of 2 MiB unused while it lives, or skips the test.
class set_aside {
public:
    explicit set_aside(long pages) : before_(number_in(setting)) {
        if (before_ < 0) SKIP_TEST("no huge pages of 2 MiB here");
        long const there = number_in(unused);
        if (!write_to(setting, std::to_string(before_ - there + pages)))
            SKIP_TEST("setting huge pages aside needs root");
        if (number_in(unused) == pages) return;
        write_to(setting, std::to_string(before_));
        SKIP_TEST("this machine has no memory for huge pages");
    }
    ~set_aside() { write_to(setting, std::to_string(before_)); }

private:
    long before_;
};

// A cgroup whose members may have this many bytes of huge pages.
class hugetlb_group {
public:
    explicit hugetlb_group(std::size_t bytes) {
        mount_.emplace("cgroup2", "none", "");
        control_ = mount_->folder() + "/cgroup.subtree_control";
        std::string words;
        std::getline(std::ifstream(control_), words);
        on_before_ = words.find("hugetlb") != words.npos;
        bool const second = write_to(control_, "+hugetlb");
        if (!second) {
            mount_.reset();
            mount_.emplace("cgroup", "none", "hugetlb");
        }
        folder_ = mount_->folder() + "/kaio-test-" + std::to_string(::getpid());
        REQUIRE(::mkdir(folder_.c_str(), 0700) == 0);
        made_ = true;
        REQUIRE(
            write_to(folder_ + (second ? "/hugetlb.2MB.max" : "/hugetlb.2MB.limit_in_bytes"), std::to_string(bytes)));
    }
    ~hugetlb_group() {
        if (made_) ::rmdir(folder_.c_str());
        if (!on_before_) write_to(control_, "-hugetlb");
    }

    // Puts the calling process into the cgroup.
    bool enter() const { return write_to(folder_ + "/cgroup.procs", "0"); }

private:
    std::optional<test::mounted> mount_;
    std::string folder_, control_;
    bool made_ = false, on_before_ = false;
};

// Writes to all bytes of each buffer and reads them again. Returns true if they are right.
bool works(kaio::buffer_pool& pool) {
    std::vector<kaio::pooled_buffer> taken;
    while (kaio::pooled_buffer buffer = pool.acquire()) {
        for (std::byte& b : buffer) {
            if (b != std::byte{0}) return false;
            b = std::byte{7};
        }
        taken.push_back(std::move(buffer));
    }
    for (const kaio::pooled_buffer& buffer : taken)
        for (std::byte const b : buffer)
            if (b != std::byte{7}) return false;
    return taken.size() == pool.count();
}

} // namespace

TEST_CASE("a pool takes huge pages that are set aside, and returns them when it is destroyed") {
    set_aside const pages(8);
    {
        kaio::buffer_pool pool(4, huge_page, 4096, huge);
        CHECK(pool.huge_pages());
        CHECK(number_in(unused) == 4);
        CHECK(works(pool));
        CHECK(number_in(unused) == 4);
        kaio::buffer_pool const odd(3, huge_page / 2 + 4096, 4096, huge);
        CHECK(number_in(unused) == 2);
    }
    CHECK(number_in(unused) == 8);
}

TEST_CASE("in a container whose cgroup grants no huge pages or too few, a pool uses ordinary pages") {
    std::size_t const granted = GENERATE(0u, 3u);
    set_aside const pages(8);
    hugetlb_group const group(granted * huge_page);
    CHECK(test::in_child([&] {
              if (!group.enter()) return 1;
              auto pool = kaio::buffer_pool::try_make(4, huge_page, 4096, huge);
              if (!pool) return 2;
              if (!works(*pool)) return 3;
              return number_in(unused) == 8 ? 0 : 4; // the pages that it got are returned
          }) == 0);
}

TEST_CASE("in a cgroup that grants enough huge pages, a pool uses them") {
    set_aside const pages(8);
    hugetlb_group const group(4 * huge_page);
    CHECK(test::in_child([&] {
              if (!group.enter()) return 1;
              kaio::buffer_pool pool(4, huge_page, 4096, huge);
              if (!pool.huge_pages() || number_in(unused) != 4) return 2;
              return works(pool) ? 0 : 3;
          }) == 0);
}

TEST_CASE("where huge pages can't be touched for another reason, a pool uses ordinary pages") {
    set_aside const pages(8);
    CHECK(test::in_child([] {
              // A seccomp filter that refuses getcpu with EPERM.
              sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getcpu, 0, 1),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
              sock_fprog const program{sizeof code / sizeof *code, code};
              if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 0; // no seccomp filters here
              if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return 0;
              auto pool = kaio::buffer_pool::try_make(4, huge_page, 4096, huge);
              if (!pool) return 2;
              if (number_in(unused) != 8) return 3;
              return works(*pool) ? 0 : 4;
          }) == 0);
}

TEST_CASE("a forked child destroys handles and pool without harm, although no huge page is left for it") {
    set_aside const pages(2);
    auto pool = std::make_unique<kaio::buffer_pool>(2, huge_page, 4096, huge);
    REQUIRE(pool->huge_pages());
    REQUIRE(number_in(unused) == 0);
    kaio::pooled_buffer mine = pool->acquire();
    mine.data()[0] = std::byte{5};
    CHECK(test::in_child([&] {
              mine.reset();
              if (pool->available() != 2) return 1;
              pool.reset();
              return 0;
          }) == 0);
    CHECK(pool->available() == 1);
    CHECK(mine.data()[0] == std::byte{5});
    mine.data()[huge_page - 1] = std::byte{6};
    mine.reset();
    CHECK(pool->available() == 2);
}
