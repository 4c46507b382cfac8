// kernel: the simulated kernel as a policy, for tests of programs that are templates over their loop or context.
//     kaio::sim::world world(seed);
//     kaio::basic_loop<kaio::sim::kernel> loop(32, {}, world);
//     your_program<decltype(loop)> program(loop, world.open("file"));
// It is a pointer to its world, which must outlive every loop and context on it. One thread at a time.
//
// Time passes in these calls and nowhere else. A ring is memory that is read without a call. So a context or loop calls
// look() before it reads its ring, and relax() between two reads: only so a program that looks and never waits gets its
// completions. A program that reads a ring itself does the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include <kaio/sim/world.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/kernel.hpp>

namespace kaio::inline KAIO_BUILD::sim {

class kernel {
public:
    // Its system calls are those of the world.
    kernel(world& world) noexcept : world_(&world) {}

    // As on Linux.
    int io_setup(unsigned events, aio_context_id* id) const noexcept { return world_->io_setup(events, id); }
    // Waits, in virtual time, for disk requests in flight.
    int io_destroy(aio_context_id id) const noexcept { return world_->io_destroy(id); }
    long io_submit(aio_context_id id, long count, iocb** batch) const noexcept {
        return world_->io_submit(id, count, batch);
    }
    // Errors: those of Linux, and EDEADLK where nothing in the world can ever end the wait.
    long io_getevents(aio_context_id id, long min, long max, io_event* events,
                      const kernel_timespec* timeout) const noexcept {
        return world_->io_getevents(id, min, max, events, timeout);
    }
    // The only signals here are options::interrupts, so the mask does nothing.
    long io_pgetevents(aio_context_id id, long min, long max, io_event* events, const kernel_timespec* timeout,
                       const sigset_t*) const noexcept {
        return world_->io_getevents(id, min, max, events, timeout);
    }
    int io_cancel(aio_context_id id, iocb* block, io_event*) const noexcept { return world_->io_cancel(id, block); }

    // Looking at the clock takes time as well.
    std::int64_t now() const noexcept {
        world_->look();
        return world_->now();
    }
    // Passes to the next thing that happens, or for a microsecond if that is nearer.
    void relax() const noexcept { world_->relax(); }
    // The time that one look at a ring takes.
    void look() const noexcept { world_->look(); }

    // A simulated process has no children.
    const unsigned* mark_process() const noexcept { return &mark_of_process; }
    void unmark_process(const unsigned*) const noexcept {}
    void keep_from_children(void*, std::size_t) const noexcept {}

    // For loops with helpers, see sim/helpers.hpp.
    int status_flags(int fd) const noexcept { return world_->status_flags(fd); }
    bool is_in_memory(int fd) const noexcept { return world_->is_in_memory(fd); }
    unsigned file_type(int fd) const noexcept { return world_->file_type(fd); }
    void read_ahead(int fd, std::int64_t offset, std::uint64_t bytes) const noexcept {
        world_->read_ahead(fd, offset, bytes);
    }

    // Threads other than simulated helpers must leave a simulated world alone.
    int open_waker() const noexcept { return world_->open("/dev/null").fd(); }
    void close_waker(int) const noexcept {}

private:
    world* world_;
};
static_assert(kernel_with_helpers<kernel>);

} // namespace kaio::sim
