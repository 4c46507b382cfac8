// forgetful FOLDER [FUSE OPTIONS] MOUNTPOINT: mounts FOLDER again as a file system like GlusterFS. It has no O_TMPFILE.
// A file that has lost its last name can be used through open descriptors, but can't be opened again.
#define FUSE_USE_VERSION 31

#include <cerrno>
#include <cstdint>
#include <string>

#include <dirent.h>
#include <fcntl.h>
#include <fuse.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace {

std::string root;

int answer(int result) { return result == 0 ? 0 : -errno; }
int descriptor(const fuse_file_info* file) { return static_cast<int>(file->fh); }

void* start(fuse_conn_info*, fuse_config* config) {
    config->hard_remove = 1; // no hidden names for open files
    config->nullpath_ok = 1;
    return nullptr;
}

int open_with(const char* path, int flags, mode_t mode, fuse_file_info* file) {
    int const fd = ::open((root + path).c_str(), (file->flags & ~(O_DIRECT | O_EXCL | O_CREAT)) | flags, mode);
    if (fd < 0) return -errno;
    file->fh = static_cast<std::uint64_t>(fd);
    return 0;
}
int open_file(const char* path, fuse_file_info* file) { return open_with(path, 0, 0, file); }
int create_file(const char* path, mode_t mode, fuse_file_info* file) {
    return open_with(path, O_CREAT | O_EXCL, mode, file);
}

int get_attributes(const char* path, struct stat* status, fuse_file_info* file) {
    return answer(file ? ::fstat(descriptor(file), status) : ::lstat((root + path).c_str(), status));
}
int truncate_file(const char* path, off_t size, fuse_file_info* file) {
    return answer(file ? ::ftruncate(descriptor(file), size) : ::truncate((root + path).c_str(), size));
}
int unlink_file(const char* path) { return answer(::unlink((root + path).c_str())); }

int read_file(const char*, char* buffer, std::size_t size, off_t at, fuse_file_info* file) {
    auto const done = ::pread(descriptor(file), buffer, size, at);
    return done < 0 ? -errno : static_cast<int>(done);
}
int write_file(const char*, const char* buffer, std::size_t size, off_t at, fuse_file_info* file) {
    auto const done = ::pwrite(descriptor(file), buffer, size, at);
    return done < 0 ? -errno : static_cast<int>(done);
}
int sync_file(const char*, int, fuse_file_info* file) { return answer(::fsync(descriptor(file))); }
int allocate(const char*, int mode, off_t at, off_t size, fuse_file_info* file) {
    return answer(::fallocate(descriptor(file), mode, at, size));
}
int release_file(const char*, fuse_file_info* file) { return answer(::close(descriptor(file))); }
int get_room(const char*, struct statvfs* room) { return answer(::statvfs(root.c_str(), room)); }

// The file system has no other folders, so this one is listed. With nullpath_ok its name is not always passed.
int list(const char*, void* entries, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
    DIR* const folder = ::opendir(root.c_str());
    if (!folder) return -errno;
    while (const dirent* const entry = ::readdir(folder)) fill(entries, entry->d_name, nullptr, 0, {});
    ::closedir(folder);
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    root = argv[1];
    argv[1] = argv[0];
    fuse_operations operations{};
    operations.init = start;
    operations.open = open_file;
    operations.create = create_file;
    operations.getattr = get_attributes;
    operations.truncate = truncate_file;
    operations.unlink = unlink_file;
    operations.read = read_file;
    operations.write = write_file;
    operations.fsync = sync_file;
    operations.fallocate = allocate;
    operations.release = release_file;
    operations.statfs = get_room;
    operations.readdir = list;
    return fuse_main(argc - 1, argv + 1, &operations, nullptr);
}
