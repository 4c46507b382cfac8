// myths [DIR]: ten statements about native AIO that many texts repeat. For each there is a function that shows what is
// true, and prints it. It works with files in DIR, best on a disk. The exit status is 1 if one of them was true here.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <aio.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/sys/kernel.hpp>

using namespace std::chrono_literals;
using kernel = kaio::linux_kernel; // the system calls: they return what the kernel returns, or a negative errno

namespace {

// A context, and the last events that came.
struct native_aio {
    kaio::aio_context_id id = 0;
    std::array<kaio::io_event, 8> events{};

    explicit native_aio(unsigned size) { kernel::io_setup(size, &id); }
    ~native_aio() { kernel::io_destroy(id); }

    long submit(kaio::iocb block) {
        kaio::iocb* batch[] = {&block}; // the kernel copies it
        return kernel::io_submit(id, 1, batch);
    }
    long get(long min, std::chrono::milliseconds limit) {
        kaio::kernel_timespec const time{limit.count() / 1000, limit.count() % 1000 * 1'000'000};
        return kernel::io_getevents(id, min, 8, events.data(), &time);
    }
    long result() { // of the one request in flight
        get(1, 10s);
        return static_cast<long>(events[0].res);
    }
};

kaio::iocb poll_of(int eventfd) { return kaio::poll(kaio::descriptor(eventfd), POLLIN); }

kaio::file direct() { return kaio::file::open("myth", O_RDWR | O_DIRECT); }

kaio::file buffered() { return kaio::file::open("myth", O_RDWR); }

kaio::aligned_buffer memory(65536);

long threads() {
    std::filesystem::directory_iterator const tasks("/proc/self/task");
    return std::distance(begin(tasks), end(tasks));
}

// 1. "AIO must be used with O_DIRECT, or it fails." It works without, unaligned, and is done when io_submit returns.
bool without_o_direct() {
    native_aio aio(8);
    kaio::file const file = buffered();
    long const taken = aio.submit(kaio::write(file, memory.storage().subspan(1, 777), 3));
    long const there = aio.get(0, 0s);
    std::printf("1. no O_DIRECT, nothing aligned: io_submit %ld, events at once %ld, result %d\n", taken, there,
                int(aio.events[0].res));
    return taken == 1 && there == 1 && aio.events[0].res == 777;
}

// 2. "io_getevents fails while the I/O is not complete." It returns 0 events, which is no error.
bool nothing_is_no_failure() {
    native_aio aio(8);
    kaio::file const event = kaio::file::adopt(::eventfd(0, EFD_CLOEXEC));
    aio.submit(poll_of(event.fd()));
    long const before = aio.get(0, 0s);
    ::eventfd_write(event.fd(), 1);
    long const after = aio.get(1, 10s);
    std::printf("2. io_getevents before it is complete %ld, afterwards %ld\n", before, after);
    return before == 0 && after == 1;
}

// 3. "The kernel sends a signal, or calls a function." An iocb has no place for either.
bool no_signal() {
    sigset_t all, old, pending;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &old); // what is sent would stay pending
    native_aio aio(8);
    kaio::file const file = direct();
    int ended = 0;
    for (int i = 0; i < 3; ++i) {
        aio.submit(kaio::read(file, memory, 0));
        ended += aio.result() == 65536;
    }
    ::sigpending(&pending);
    int signals = 0;
    for (int i = 1; i < NSIG; ++i) signals += ::sigismember(&pending, i) == 1;
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    std::printf("3. requests that ended %d, signals %d\n", ended, signals);
    return ended == 3 && signals == 0;
}

// 4. "Align to 512 bytes; io_submit returns EINVAL if not." The unit is the file's own, and the error is in the event.
bool the_unit_is_the_files() {
    native_aio aio(8);
    kaio::file const file = direct();
    long const first = aio.submit(kaio::write(kaio::descriptor(file.fd()), memory.storage().first(1024), 0));
    long const aligned = aio.result();
    long const second = aio.submit(kaio::write(kaio::descriptor(file.fd()), memory.storage().subspan(1, 4096), 0));
    long const odd = aio.result();
    std::printf("4. io_submit %ld and %ld; the results are %ld for 1024 bytes, %ld at an odd address\n", first, second,
                aligned, odd);
    return first == 1 && second == 1 && (aligned == 1024 || aligned == -EINVAL) && (odd == 4096 || odd == -EINVAL);
}

// 5. "libaio is glibc's AIO." glibc's aio_read is a pool of threads, and native AIO has none.
bool glibc_has_threads() {
    long const alone = threads();
    native_aio aio(32);
    std::vector<kaio::file> files;
    for (int i = 0; i < 4; ++i) files.push_back(direct());
    for (int i = 0; i < 32; ++i) aio.submit(kaio::read(files[0], memory, 0));
    long const native = threads() - alone;
    for (long ended = 0; ended < 32;) ended += aio.get(1, 10s);

    std::array<aiocb, 4> blocks{};
    for (std::size_t i = 0; i < 4; ++i) {
        blocks[i].aio_fildes = files[i].fd();
        blocks[i].aio_buf = memory.data() + i * 16384;
        blocks[i].aio_nbytes = 16384;
        ::aio_read(&blocks[i]);
    }
    long const posix = threads() - alone;
    for (aiocb& block : blocks) {
        const aiocb* const waiting[] = {&block};
        while (::aio_error(&block) == EINPROGRESS) ::aio_suspend(waiting, 1, nullptr);
        ::aio_return(&block);
    }
    std::printf("5. new threads for 32 native requests %ld, for 4 of glibc's aio_read %ld\n", native, posix);
    return native == 0 && posix >= 1;
}

// 6. "io_submit queues the request and returns at once." It runs the file system, and waits where that waits.
bool io_submit_works() {
    native_aio aio(8);
    kaio::file const file = buffered();
    ::fdatasync(file.fd());
    ::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED); // nothing of it is in the page cache now
    auto const start = std::chrono::steady_clock::now();
    aio.submit(kaio::read(file, memory, 0));
    std::chrono::duration<double, std::micro> const inside = std::chrono::steady_clock::now() - start;
    long const there = aio.get(0, 0s);
    std::printf("6. a cold buffered read: %.0f us inside io_submit, then complete %ld\n", inside.count(), there);
    return there == 1;
}

// 7. "The timeout of io_getevents ends the request." It ends the wait. The request goes on, and its buffer is in use.
bool a_timeout_ends_the_wait() {
    native_aio aio(8);
    kaio::file const event = kaio::file::adopt(::eventfd(0, EFD_CLOEXEC));
    aio.submit(poll_of(event.fd()));
    long const timed_out = aio.get(1, 20ms);
    ::eventfd_write(event.fd(), 1);
    long const later = aio.get(1, 10s);
    std::printf("7. events within 20 ms %ld, and later all the same %ld\n", timed_out, later);
    return timed_out == 0 && later == 1;
}

// 8. "io_cancel cancels it." Not a disk request, ever. Only a poll, and its event comes through the ring.
bool no_disk_request_is_cancelled() {
    native_aio aio(8);
    kaio::file const file = direct();
    kaio::iocb block = kaio::read(file, memory, 0);
    kaio::iocb* batch[] = {&block};
    kernel::io_submit(aio.id, 1, batch);
    int const cancelled = kernel::io_cancel(aio.id, &block, aio.events.data());
    long const read = aio.result();
    std::printf("8. io_cancel of a read %d; the read ends with %ld bytes\n", cancelled, read);
    return cancelled == -EINVAL && read == 65536;
}

// The flushes that the disk of this file was ever sent, or -1 if there is no disk, or it has no cache to flush.
long flushes(const kaio::file& file) {
    struct stat status;
    ::fstat(file.fd(), &status);
    std::string const disk =
        "/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
    std::string cache;
    std::getline(std::ifstream(disk + "/queue/write_cache"), cache);
    if (cache != "write back") return -1;
    std::ifstream counts(disk + "/stat");
    long count = -1;
    for (int i = 0; i < 16; ++i) counts >> count; // the 16th field (5.5)
    return counts ? count : -1;
}

// 9. "What was written with O_DIRECT is on the disk." It is in the disk's cache, until a flush. RWF_DSYNC sends one.
bool completed_is_not_durable() {
    native_aio aio(8);
    kaio::file const file = direct();
    kaio::request const write = kaio::write(file, memory, 0);
    auto const flushes_of = [&](kaio::request request) {
        long const before = flushes(file);
        for (int i = 0; i < 3; ++i) aio.submit(request), aio.result();
        return flushes(file) - before;
    };
    if (flushes(file) < 0) {
        std::puts("9. this file has no disk of its own with a cache, so nothing is to be seen here");
        return true;
    }
    long plain = 1;
    for (int tries = 0; plain != 0 && tries < 1000; ++tries) plain = flushes_of(write); // others may flush meanwhile
    long const durable = flushes_of(write.flags(kaio::rw_flags::dsync));
    std::printf("9. flushes for three writes %ld, for three with RWF_DSYNC at least 1: %s\n", plain,
                durable >= 1 ? "yes" : "no");
    return plain == 0 && durable >= 1;
}

// 10. "EAGAIN means try again." From io_setup it is the quota, from io_submit it means: take events first.
bool eagain_does_not_go_away() {
    long most = 0;
    std::ifstream("/proc/sys/fs/aio-max-nr") >> most;
    kaio::aio_context_id none = 0;
    int setup = 0;
    for (int i = 0; i < 3; ++i) setup = kernel::io_setup(static_cast<unsigned>(std::min(most, 8'000'000L) + 1), &none);

    native_aio aio(1);
    kaio::file const event = kaio::file::adopt(::eventfd(0, EFD_CLOEXEC));
    long submitted = 1, again = 0;
    while (submitted == 1) submitted = aio.submit(poll_of(event.fd()));
    for (int i = 0; i < 3; ++i) again = aio.submit(poll_of(event.fd()));
    ::eventfd_write(event.fd(), 1); // all of them complete
    while (aio.get(1, 1s) == 8) {
    }
    long const room = aio.submit(poll_of(event.fd()));
    std::printf("10. three tries: io_setup %d, io_submit %ld; and after events were taken %ld\n", setup, again, room);
    return setup == -EAGAIN && again == -EAGAIN && room == 1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1 && ::chdir(argv[1]) != 0) return std::perror(argv[1]), 2;
    std::fill(memory.begin(), memory.end(), std::byte{'@'});
    kaio::file const file = kaio::file::open("myth", O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (::write(file.fd(), memory.data(), memory.size()) != 65536 || ::fsync(file.fd()) != 0)
        return std::perror("myth"), 2;
    bool right = true;
    for (auto* const shows :
         {without_o_direct, nothing_is_no_failure, no_signal, the_unit_is_the_files, glibc_has_threads, io_submit_works,
          a_timeout_ends_the_wait, no_disk_request_is_cancelled, completed_is_not_durable, eagain_does_not_go_away})
        right = shows() && right;
    ::unlink("myth");
    return right ? 0 : 1;
}
