// odd_fuse MOUNTPOINT [NAME=NUMBER...]: a file system in memory that behaves like network file systems, for odd.py. It
// runs in the foreground until it is unmounted, and ends with its parent.
//
//   read=N        a read returns at most N bytes, although the file has more
//   write=N       a write accepts at most N bytes
//   unit=N        with O_DIRECT, offsets that are not multiples of N bytes are refused with EINVAL
//   flush=ERRNO   close(2) fails with this error if the file was open for writing
//   sizeless=1    every file reports a size of 0 bytes
//
// Every file bypasses the page cache (FOPEN_DIRECT_IO), because the cache would take a short read for the end.
#define FUSE_USE_VERSION 31
#include <fuse.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

namespace {

std::map<std::string, std::vector<char>> files; // by path; libfuse is told to use one thread
std::map<std::string, long> habits;             // 0: off

std::vector<char>* find(const char* path) {
    auto const found = files.find(path);
    return found == files.end() ? nullptr : &found->second;
}

int get_attributes(const char* path, struct stat* status, fuse_file_info*) {
    if (std::strcmp(path, "/") == 0) {
        status->st_mode = S_IFDIR | 0777;
        status->st_nlink = 2;
        return 0;
    }
    auto const* const content = find(path);
    if (!content) return -ENOENT;
    status->st_mode = S_IFREG | 0666;
    status->st_nlink = 1;
    status->st_size = habits["sizeless"] != 0 ? 0 : static_cast<off_t>(content->size());
    return 0;
}

int open_file(const char* path, fuse_file_info* how) {
    if (!find(path)) return -ENOENT;
    how->direct_io = 1;
    how->fh = static_cast<std::uint64_t>(how->flags);
    return 0;
}

int create_file(const char* path, mode_t, fuse_file_info* how) {
    files.try_emplace(path);
    return open_file(path, how);
}

bool refuses(const fuse_file_info* how, off_t offset) {
    long const unit = habits["unit"];
    return unit != 0 && (how->fh & O_DIRECT) != 0 && offset % unit != 0;
}

int read_bytes(const char* path, char* buffer, std::size_t size, off_t offset, fuse_file_info* how) {
    auto const* const content = find(path);
    if (!content) return -ENOENT;
    if (refuses(how, offset)) return -EINVAL;
    auto const at = static_cast<std::size_t>(offset);
    if (habits["read"] != 0) size = std::min(size, static_cast<std::size_t>(habits["read"]));
    size = at < content->size() ? std::min(size, content->size() - at) : 0;
    std::copy_n(content->data() + at, size, buffer);
    return static_cast<int>(size);
}

int write_bytes(const char* path, const char* buffer, std::size_t size, off_t offset, fuse_file_info* how) {
    auto* const content = find(path);
    if (!content) return -ENOENT;
    if (refuses(how, offset)) return -EINVAL;
    auto const at = static_cast<std::size_t>(offset);
    if (habits["write"] != 0) size = std::min(size, static_cast<std::size_t>(habits["write"]));
    if (content->size() < at + size) content->resize(at + size);
    std::copy_n(buffer, size, content->data() + at);
    return static_cast<int>(size);
}

int cut(const char* path, off_t size, fuse_file_info*) {
    auto* const content = find(path);
    if (!content) return -ENOENT;
    content->resize(static_cast<std::size_t>(size));
    return 0;
}

int close_file(const char*, fuse_file_info* how) {
    return (how->fh & O_ACCMODE) != O_RDONLY ? static_cast<int>(-habits["flush"]) : 0;
}

int remove_file(const char* path) { return files.erase(path) != 0 ? 0 : -ENOENT; }

int list(const char*, void* entries, fuse_fill_dir_t add, off_t, fuse_file_info*, fuse_readdir_flags) {
    for (auto const& [path, content] : files) add(entries, path.c_str() + 1, nullptr, 0, fuse_fill_dir_flags{});
    return 0;
}

// Without this the kernel turns a short write of native AIO into EIO (fuse_get_res_by_io).
void* start(fuse_conn_info* connection, fuse_config*) {
    connection->want &= ~static_cast<unsigned>(FUSE_CAP_ASYNC_DIO);
    return nullptr;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::fputs("usage: odd_fuse MOUNTPOINT [NAME=NUMBER...]\n", stderr), 2;
    for (int i = 2; i < argc; ++i) {
        std::string const habit = argv[i];
        auto const equals = habit.find('=');
        if (equals == std::string::npos) return std::fprintf(stderr, "odd_fuse: %s\n", argv[i]), 2;
        habits[habit.substr(0, equals)] = std::atol(habit.c_str() + equals + 1);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);

    fuse_operations operations{};
    operations.init = start;
    operations.getattr = get_attributes;
    operations.open = open_file;
    operations.create = create_file;
    operations.read = read_bytes;
    operations.write = write_bytes;
    operations.truncate = cut;
    operations.flush = close_file;
    operations.unlink = remove_file;
    operations.readdir = list;
    std::string name = argv[0], foreground = "-f", one_thread = "-s";
    char* arguments[] = {name.data(), foreground.data(), one_thread.data(), argv[1], nullptr};
    return fuse_main(4, arguments, &operations, nullptr);
}
