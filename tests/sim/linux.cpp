// The simulated kernel finds what is wrong with a request where Linux finds it, and returns the same error.
#include "support/catch.hpp"
#include "support/temporary_file.hpp"

#include <array>
#include <set>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

#include <kaio/kaio.hpp>
#include <kaio/sim/kernel.hpp>

namespace {

// Returns the error of io_submit, or the event's res plus 10000.
template <class Kernel> long answer(kaio::basic_context<Kernel>& context, kaio::iocb block) {
    kaio::iocb* batch[] = {&block};
    if (auto const s = context.submit(batch); !s) return -s.error_number();
    std::array<kaio::io_event, 1> event;
    REQUIRE(*context.wait(event) == 1);
    return static_cast<long>(event[0].res) + 10'000;
}

kaio::iocb changed(kaio::iocb block, void (*change)(kaio::iocb&)) {
    change(block);
    return block;
}

} // namespace

TEST_CASE("good and bad requests have the same results as on Linux") {
    test::temporary_file real(1000);
    int const real_event = ::eventfd(1, EFD_CLOEXEC);
    kaio::sim::world world(1);
    auto const file = world.open("file");
    file.resize(1000);
    auto const event = world.make_event();
    event.set();
    kaio::basic_context<> linux_context(4);
    kaio::basic_context<kaio::sim::kernel> sim_context(4, {}, world);

    std::vector<std::byte> buffer(512);
    std::vector<iovec> vectors(1025, iovec{buffer.data(), 1});
    std::array<iovec, 1> huge{iovec{buffer.data(), static_cast<std::size_t>(-1)}};
    auto const requests = [&](int fd, int eventfd) {
        using kaio::rw_flags;
        kaio::request const read = kaio::read(fd, buffer, 0), write = kaio::write(fd, buffer, 0);
        return std::vector<std::pair<std::string, kaio::iocb>>{
            {"read", read},
            {"read at the end", kaio::read(fd, buffer, 900)},
            {"read behind the end", kaio::read(fd, buffer, 5000)},
            {"read of nothing", kaio::read(fd, std::span(buffer).first(0), 0)},
            {"read before the beginning", kaio::read(fd, buffer, -1)},
            {"read beyond every file", kaio::read(fd, buffer, INT64_MAX - 100)},
            {"readv", kaio::readv(fd, std::span(vectors).first(1024), 0)},
            {"readv of too many", kaio::readv(fd, vectors, 0)},
            {"readv of too much", kaio::readv(fd, huge, 0)},
            {"readv of nothing", kaio::readv(fd, {}, 0)},
            {"no descriptor", kaio::read(-1, buffer, 0)},
            {"dsync", write.flags(rw_flags::dsync)},
            {"sync", write.flags(rw_flags::sync)},
            {"append", write.flags(rw_flags::append)},
            {"an unknown flag", read.flags(static_cast<rw_flags>(0x40000000))},
            {"fsync", kaio::fsync(fd)},
            {"fdatasync", kaio::fdatasync(fd)},
            {"fsync with a flag", kaio::fsync(fd).flags(rw_flags::dsync)},
            {"fsync with an offset", changed(kaio::fsync(fd), [](kaio::iocb& b) { b.aio_offset = 1; })},
            {"fsync of an eventfd", kaio::fsync(eventfd)},
            {"poll", kaio::poll(eventfd, POLLIN)},
            {"poll of a file", kaio::poll(fd, POLLIN | POLLOUT)},
            {"poll of no descriptor", kaio::poll(-1, POLLIN)},
            {"poll with an offset", changed(kaio::poll(eventfd, POLLIN), [](kaio::iocb& b) { b.aio_offset = 1; })},
            {"poll for unknown events",
             changed(kaio::poll(eventfd, POLLIN), [](kaio::iocb& b) { b.aio_buf = 1 << 16; })},
            {"notify", read.notify(eventfd)},
            {"notify a file", read.notify(fd)},
            {"notify nothing", read.notify(-1)},
            {"the reserved field", changed(read, [](kaio::iocb& b) { b.aio_reserved2 = 1; })},
            {"a bad length", changed(read, [](kaio::iocb& b) { b.aio_nbytes = UINT64_MAX; })},
            {"an unknown opcode", changed(read, [](kaio::iocb& b) { b.aio_lio_opcode = 99; })},
            {"no operation", changed(read, [](kaio::iocb& b) { b.aio_lio_opcode = 6; })},
            {"unknown bits in aio_flags", changed(read, [](kaio::iocb& b) { b.aio_flags = 1u << 30; })},
            {"read into nowhere", changed(read, [](kaio::iocb& b) { b.aio_buf = 0; })},
            {"write from nowhere", changed(write, [](kaio::iocb& b) { b.aio_buf = 0; })},
        };
    };
    auto const ours = requests(file.fd(), event.fd()), theirs = requests(real.fd(), real_event);
    std::set<std::string> const no_memory{"readv of too much", "a bad length", "read into nowhere",
                                          "write from nowhere"};
#if defined(KAIO_ASAN) || defined(KAIO_MSAN)
    constexpr bool watched = true; // the sanitizer reports missing memory before the library submits
#else
    constexpr bool watched = false;
#endif
    for (std::size_t i = 0; i < ours.size(); ++i) {
        CAPTURE(ours[i].first);
        if (watched && no_memory.contains(ours[i].first)) continue;
        CHECK(answer(sim_context, ours[i].second) == answer(linux_context, theirs[i].second));
    }
    ::close(real_event);
}

TEST_CASE("calls with wrong arguments return the same as on Linux") {
    kaio::sim::world world(1);
    kaio::sim::kernel const sim(world);
    kaio::linux_kernel const real;
    auto const compare = [](auto kernel) {
        std::vector<long> answers;
        kaio::aio_context_id id = 0;
        kaio::io_event event;
        kaio::iocb block{};
        kaio::iocb* nothing[] = {nullptr};
        kaio::kernel_timespec const no_time{0, 0};
        answers.push_back(kernel.io_setup(0, &id));
        answers.push_back(kernel.io_setup(0x7fffffff, &id));
        answers.push_back(kernel.io_setup(4, &id));
        kaio::aio_context_id used = id;
        answers.push_back(kernel.io_setup(4, &used));
        answers.push_back(kernel.io_submit(id, 0, nothing));
        answers.push_back(kernel.io_submit(id, -1, nothing));
        answers.push_back(kernel.io_submit(id, 1, nothing));
        answers.push_back(kernel.io_getevents(id, 0, 0, &event, nullptr));
        answers.push_back(kernel.io_getevents(id, 0, 1, &event, nullptr));
        answers.push_back(kernel.io_getevents(id, 1, 1, &event, &no_time));
        answers.push_back(kernel.io_getevents(id, 2, 1, &event, &no_time));
        answers.push_back(kernel.io_getevents(id, -1, 1, &event, &no_time));
        answers.push_back(kernel.io_cancel(id, &block, &event));
        answers.push_back(kernel.io_destroy(id));
        answers.push_back(kernel.io_destroy(id));
        answers.push_back(kernel.io_submit(id, 0, nothing));
        answers.push_back(kernel.io_getevents(id, 0, 1, &event, nullptr));
        return answers;
    };
    CHECK(compare(sim) == compare(real));
}
