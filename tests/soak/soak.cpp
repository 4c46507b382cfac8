// soak [MILLIONS]: submits this many million small requests (1 without an argument) over loops that come and go, and
// checks every byte. Some requests must fail in known ways. At the end memory and descriptors must be what they were
// after the first tenth. It is not a Catch2 test, so that nothing else allocates.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <kaio/kaio.hpp>
#include <kaio/loop/helpers.hpp>

namespace {

constexpr std::size_t area = 1024; // bytes of the file that belong to one slot, whose records are at their beginning
constexpr unsigned slots = 48;     // more than the loop's capacity, so that some requests always wait
constexpr unsigned capacity = 32;

enum kind : unsigned {
    write_record,
    read_record,
    read_vector,
    read_whole,
    read_awaited,
    timer,
    posted,
    read_short,
    read_behind_end,
    sync_data,
    poll_ready,
    bad_descriptor,
    bad_flags,
    bad_offset,
    bad_address,
    misaligned,
    kinds
};
constexpr const char* names[kinds] = {"writes",
                                      "reads",
                                      "readvs",
                                      "whole reads",
                                      "awaited reads",
                                      "timers",
                                      "posts",
                                      "short reads",
                                      "reads behind the end",
                                      "syncs",
                                      "polls",
                                      "EBADF",
                                      "EOPNOTSUPP",
                                      "EINVAL (offset)",
                                      "EFAULT",
                                      "EINVAL (alignment)"};

[[noreturn]] void fail(const std::string& what) {
    std::printf("FAILED: %s\n0 passed, 1 failed, 0 skipped\n", what.c_str());
    std::exit(1);
}

struct soak {
    kaio::file file, direct; // `direct` is on a file system that refuses misaligned direct I/O, or is empty
    int ready = ::eventfd(1, EFD_CLOEXEC);
    kaio::helpers helpers{2};
    kaio::loop* loop = nullptr;
    std::uint64_t random = 88172645463325252u;
    std::uint64_t started = 0, completed = 0, stop_at = 0;
    std::uint64_t count[kinds] = {};

    struct slot {
        unsigned char bytes[area];
        iovec pieces[2];
        kind what = write_record;
        std::size_t size = 0;      // of the request
        std::int64_t expected = 0; // the result
        std::uint64_t written = 0; // seed of the bytes in the file; 0: none yet
        std::size_t written_size = 0;
        bool busy = false;
    } slot_[slots];

    std::uint64_t next_random() {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        return random;
    }

    static unsigned char content(std::uint64_t seed, std::size_t i) {
        return static_cast<unsigned char>((seed >> (i % 7 * 8)) + i);
    }

    std::size_t end_of_file() const { return slots * area; }

    kind choose(const slot& s) {
        std::uint64_t const die = next_random() % 256;
        if (s.written == 0 || die < 80) return write_record;
        if (die < 160) return read_record;
        if (die < 208) return static_cast<kind>(read_vector + die % 3); // read_vector, read_whole, read_awaited
        kind const rare = static_cast<kind>(timer + (die - 208) % (kinds - timer));
        return rare == misaligned && !direct ? bad_offset : rare;
    }

    void submit(unsigned index) {
        slot& s = slot_[index];
        if (std::exchange(s.busy, true)) fail("a slot is used twice");
        std::int64_t const offset = static_cast<std::int64_t>(index * area);
        s.what = choose(s);
        s.size = 16 + next_random() % 240;
        s.expected = static_cast<std::int64_t>(s.size);
        auto const bytes = std::span(s.bytes).first(s.size);
        ++count[s.what];
        ++started;
        switch (s.what) {
        case write_record:
            s.written = next_random() | 1;
            s.written_size = s.size;
            for (std::size_t i = 0; i < s.size; ++i) bytes[i] = content(s.written, i);
            return send(index, kaio::write(file, bytes, offset));
        case read_record:
            s.size = s.written_size;
            s.expected = static_cast<std::int64_t>(s.size);
            std::memset(s.bytes, 0, s.size);
            return send(index, kaio::read(file, std::span(s.bytes).first(s.size), offset));
        case read_vector: // the first ten bytes go to the end of the slot's memory
            s.size = s.written_size;
            s.expected = static_cast<std::int64_t>(s.size);
            std::memset(s.bytes, 0, area);
            s.pieces[0] = {s.bytes + area - 10, 10};
            s.pieces[1] = {s.bytes + 10, s.size - 10};
            return send(index, kaio::readv(file, s.pieces, offset));
        case read_whole:
        case read_awaited:
            s.size = s.written_size;
            s.expected = static_cast<std::int64_t>(s.size);
            std::memset(s.bytes, 0, s.size);
            if (s.what == read_awaited) return kaio::spawn(*loop, await_read(index, offset));
            return loop->submit(kaio::fully(kaio::read(file, std::span(s.bytes).first(s.size), offset)),
                                [this, index](kaio::transfer_result r) {
                                    done(index, kaio::io_result(static_cast<std::int64_t>(r.bytes())));
                                });
        case timer:
            s.expected = 0;
            return loop->submit(kaio::after(kaio::duration::from_ns(static_cast<std::int64_t>(next_random() % 20'000))),
                                [this, index](kaio::io_result r) { done(index, r); });
        case posted:
            s.expected = 0;
            return loop->post([this, index] { done(index, kaio::io_result(0)); });
        case read_short:
            s.expected = static_cast<std::int64_t>(next_random() % s.size);
            return send(index, kaio::read(file, bytes, static_cast<std::int64_t>(end_of_file()) - s.expected));
        case read_behind_end:
            s.expected = 0;
            return send(index,
                        kaio::read(file, bytes, static_cast<std::int64_t>(end_of_file() + next_random() % area)));
        case sync_data:
            s.expected = 0;
            return send(index, kaio::fdatasync(file));
        case poll_ready:
            s.expected = POLLIN;
            return send(index, kaio::poll(ready, POLLIN));
        case bad_descriptor:
            s.expected = -EBADF;
            return send(index, kaio::read(-1, bytes, offset));
        case bad_flags:
            s.expected = -EOPNOTSUPP;
            return send(index, kaio::read(file, bytes, offset).flags(static_cast<kaio::rw_flags>(1 << 30)));
        case bad_offset:
            s.expected = -EINVAL;
            return send(index, kaio::read(file, bytes, -1));
        case bad_address:
            s.expected = -EFAULT;
            return send(index, kaio::read(file, std::span(static_cast<char*>(nullptr), s.size), offset));
        case misaligned:
            s.expected = -EINVAL;
            return send(index, kaio::read(direct.fd(), bytes, 0)); // for an int no alignment is asserted
        case kinds:
            break;
        }
        fail("no such kind");
    }

    kaio::task<> await_read(unsigned index, std::int64_t offset) {
        slot& s = slot_[index];
        done(index, co_await loop->submit(kaio::read(file, std::span(s.bytes).first(s.size), offset)));
    }

    // One request in 64 has a handler that is too large for the loop's slab, and is allocated.
    void send(unsigned index, const kaio::request& request) {
        if (next_random() % 64 != 0) return loop->submit(request, [this, index](kaio::io_result r) { done(index, r); });
        struct {
            soak* self;
            std::uint64_t ballast[8];
            unsigned index;
            void operator()(kaio::io_result r) const { self->done(index + static_cast<unsigned>(ballast[7]), r); }
        } const large{this, {}, index};
        loop->submit(request, large);
    }

    void done(unsigned index, kaio::io_result r) {
        slot& s = slot_[index];
        if (!std::exchange(s.busy, false)) fail("a request completed twice");
        if (r.res() != s.expected)
            fail(std::string(names[s.what]) + ": result " + std::to_string(r.res()) + ", expected " +
                 std::to_string(s.expected));
        if (s.what == read_vector) std::memcpy(s.bytes, s.bytes + area - 10, 10);
        if (s.what >= read_record && s.what <= read_awaited)
            for (std::size_t i = 0; i < s.size; ++i)
                if (s.bytes[i] != content(s.written, i)) fail("a wrong byte at " + std::to_string(i));
        ++completed;
        if (started < stop_at) submit(index);
    }

    // Submits `requests` more requests through a new loop, which has helpers or not.
    void run(std::uint64_t requests, kaio::reaping how, bool helped) {
        stop_at = started + requests;
        kaio::loop_options const options{.setup = {.events = how}};
        kaio::loop fresh = helped ? kaio::loop(capacity, helpers, options) : kaio::loop(capacity, options);
        loop = &fresh;
        for (unsigned i = 0; i < slots && started < stop_at; ++i) submit(i);
        fresh.run();
        if (completed != started) fail("some requests did not complete");
    }
};

struct usage {
    long resident_kib, descriptors;

    static usage now() {
        std::FILE* const file = std::fopen("/proc/self/statm", "r");
        long size = 0, resident = 0;
        if (!file || std::fscanf(file, "%ld %ld", &size, &resident) != 2) fail("/proc/self/statm");
        std::fclose(file);
        auto const descriptors = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
        return {resident * ::sysconf(_SC_PAGESIZE) / 1024, static_cast<long>(descriptors)};
    }
};

// A file in this folder that vanishes at the end.
kaio::file nameless(std::string folder, int more_flags) {
    std::string path = folder + "/kaio-soak-XXXXXX";
    int const fd = ::mkstemp(path.data());
    if (fd < 0) fail("can't make a file in " + folder);
    ::close(fd);
    auto opened = kaio::file::try_open(path.c_str(), O_RDWR | more_flags);
    ::unlink(path.c_str());
    return opened ? std::move(*opened) : kaio::file();
}

bool refuses_misaligned(const kaio::file& file) {
    alignas(4096) static unsigned char bytes[4096];
    return file && ::pwrite(file.fd(), bytes, sizeof bytes, 0) == sizeof bytes &&
           ::pread(file.fd(), bytes + 1, 100, 0) < 0 && errno == EINVAL;
}

#if defined(KAIO_ASAN) || defined(KAIO_TSAN)
constexpr bool own_memory = false; // the sanitizer keeps freed memory and its own records
#else
constexpr bool own_memory = true;
#endif

} // namespace

int main(int argc, char** argv) {
    std::uint64_t const total = (argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1) * 1'000'000;
    if (total == 0) fail("usage: soak [MILLIONS]");
    static soak s;
    s.file = nameless("/dev/shm", 0);
    if (::ftruncate(s.file.fd(), static_cast<off_t>(s.end_of_file())) != 0) fail("ftruncate");
    if (kaio::file direct = nameless(".", O_DIRECT); refuses_misaligned(direct)) s.direct = std::move(direct);

    std::int64_t const start = kaio::linux_kernel::now();
    usage first{};
    std::printf("%12s %10s %12s %10s\n", "requests", "seconds", "resident KiB", "descriptors");
    constexpr unsigned parts = 20;
    for (unsigned part = 0; part < parts; ++part) {
        std::uint64_t const until = total / parts * (part + 1);
        while (s.started < until) {
            auto const how = s.next_random() % 4 == 0 ? kaio::reaping::syscall : kaio::reaping::automatic;
            s.run(std::min<std::uint64_t>(until - s.started, 250'000), how, s.next_random() % 2 == 0);
        }
        usage const now = usage::now();
        std::printf("%12llu %10.1f %12ld %10ld\n", static_cast<unsigned long long>(s.completed),
                    static_cast<double>(kaio::linux_kernel::now() - start) / 1e9, now.resident_kib, now.descriptors);
        std::fflush(stdout);
        if (part == parts / 10 - 1) first = now;
        if (part + 1 < parts) continue;
        if (now.descriptors != first.descriptors) fail("descriptors are left open");
        if (own_memory && now.resident_kib > first.resident_kib + 128) fail("memory has grown");
    }
    for (unsigned i = 0; i < kinds; ++i)
        std::printf("%12llu %s\n", static_cast<unsigned long long>(s.count[i]), names[i]);
    if (!s.direct) std::printf("(the file system of this folder accepts misaligned direct I/O, so none was tested)\n");
    std::printf("1 passed, 0 failed, 0 skipped\n");
}
