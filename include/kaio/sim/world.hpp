// world: simulated disks in virtual time. sim::kernel, the policy for basic_context and basic_loop, stands before it.
//     kaio::sim::world world(seed, {.io_errors = 0.01});
//     kaio::basic_loop<kaio::sim::kernel> loop(32, {}, world);
//     world.crash_at(world.now() + 1'000'000);
// All chance comes from the seed: the same seed and program make the same run, event for event. A world must outlive
// all that is made on it. One thread at a time. docs/simulation.md is the guide.
#pragma once

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include <kaio/sim/detail/context.hpp>
#include <kaio/sim/detail/disk.hpp>
#include <kaio/sim/detail/fiber.hpp>
#include <kaio/sim/file.hpp>
#include <kaio/sim/options.hpp>
#include <kaio/sim/random_source.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD::sim {

class event;

class world {
public:
    // The same seed makes the same run.
    explicit world(std::uint64_t seed, sim::options options = {}) : seed_(seed), random_(seed), options_(options) {}
    world(const world&) = delete;
    world& operator=(const world&) = delete;
    ~world() { assert(contexts_.empty() && "kaio: a simulated world was destroyed before a loop or context on it"); }

    // What it was made with.
    std::uint64_t seed() const noexcept { return seed_; }

    // For the test's own decisions, so that one number determines all of a run.
    sim::random_source& random() noexcept { return random_; }

    // They may be changed at any time. A change counts from the next step of each request on.
    sim::options& options() noexcept { return options_; }

    // The file of this name, which is made empty if there is none: then `options` count. Names survive every crash,
    // because kaio has no request that makes or removes them.
    sim::file open(std::string name, file_options options = {}) {
        return sim::file(disk_.open(std::move(name), options));
    }

    // A descriptor like an eventfd: poll requests can wait for it, and request::notify can signal it.
    sim::event make_event();

    // Nanoseconds since some time before the world began. Time passes in the calls of sim::kernel, and nowhere else.
    std::int64_t now() const noexcept { return now_; }

    // Power loss, now. Safe is what a completed sync covers, and what a completed dsync write has written. Any part of
    // the rest may be lost: each sector of 512 bytes is as it was after any one of the writes to it.
    //
    // Loops and contexts that are there belong to a machine that is gone: what is in flight completes with EIO, and all
    // that they submit is refused with EIO. New ones on this world find what was left.
    void crash() {
        ++crashes_;
        std::vector<detail::in_flight*> cut_off;
        for (auto& r : requests_)
            if (r.owner) cut_off.push_back(&r);
        disk_.crash(std::move(cut_off));
        for (std::uint32_t i = 0; i < requests_.size(); ++i)
            if (requests_[i].owner) complete(i, -EIO);
        for (auto& c : contexts_) c->dead = true;
        std::erase_if(due_, [](const due& each) noexcept { return !each.fiber; });
        std::make_heap(due_.begin(), due_.end());
        crash_at_ = never;
        find_next();
    }

    // Power loss of the disk that has this file, and no other: what is in flight there completes with EIO. The machine
    // goes on, and what it submits from then on finds what was left. (file::break_range makes that fail, too.)
    void crash(const sim::file& file) {
        detail::node& node = *file.node_;
        std::erase_if(due_, [&](const due& each) noexcept { return !each.fiber && is_cut_off(each.request, node); });
        std::make_heap(due_.begin(), due_.end());
        std::vector<detail::in_flight*> cut_off;
        for (std::uint32_t i = 0; i < requests_.size(); ++i)
            if (is_cut_off(i, node)) cut_off.push_back(&requests_[i]);
        disk_.crash(node, std::move(cut_off));
        for (std::uint32_t i = 0; i < requests_.size(); ++i)
            if (is_cut_off(i, node)) complete(i, -EIO);
        find_next();
    }

    // From now on no read, write or sync of this file completes, as with a device that is suspended or a server that is
    // silent. io_submit goes on accepting them.
    void suspend(const sim::file& file) noexcept { file.node_->suspended = true; }
    // What was held completes now, in the order in which it would have.
    // REQUIRES: it is called before a loop or context with requests that are held is destroyed. An assert checks that.
    void resume(const sim::file& file) {
        file.node_->suspended = false;
        for (std::uint32_t const each : std::exchange(file.node_->held, {})) schedule(0, each);
    }

    // Power loss when now() reaches `time`, in the middle of whatever happens then.
    void crash_at(std::int64_t time) noexcept {
        crash_at_ = time;
        find_next();
    }

    // The number of power losses.
    unsigned crashes() const noexcept { return crashes_; }

    // The number of requests that io_submit has accepted.
    std::uint64_t submitted() const noexcept { return submitted_; }

private:
    friend class kernel;
    friend class event;
    friend class helpers;
    static constexpr std::int64_t never = INT64_MAX;

    // How long things take, in nanoseconds; roughly as on Linux.
    static constexpr std::int64_t one_look = 50, system_call = 300, one_request = 500, pause = 1000;

    struct due {
        std::int64_t time;
        std::uint64_t sequence;
        std::uint32_t request; // completes
        detail::fiber* fiber;  // not null: it resumes instead
        // The heap functions put the greatest first.
        friend bool operator<(const due& a, const due& b) noexcept {
            return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
        }
    };

    int io_setup(unsigned events, aio_context_id* id) {
        advance(system_call);
        if (events == 0 || events > 0x10000000u / sizeof(io_event) || *id != 0) return -EINVAL;
        contexts_.push_back(std::make_unique<detail::context>(events));
        *id = contexts_.back()->id();
        return 0;
    }

    int io_destroy(aio_context_id id) {
        detail::context* const c = find(id);
        if (!c) return -EINVAL;
        while (c->running != 0) {
            for (std::uint32_t i = 0; i < requests_.size(); ++i)
                if (requests_[i].owner == c && requests_[i].parked) cancel(i);
            assert(next_ != never && "kaio: a loop or context is destroyed, and its requests of a suspended file can't "
                                     "complete: on Linux this wait has no end");
            pass_to(next_);
        }
        std::erase_if(contexts_, [&](auto& each) noexcept { return each.get() == c; });
        return 0;
    }

    long io_submit(aio_context_id id, long count, iocb** batch) {
        detail::context* const c = find(id);
        if (!c || count < 0) return -EINVAL;
        advance(system_call);
        for (long i = 0; i < count; ++i)
            if (int const error = submit_one(*c, batch[i])) return i != 0 ? i : error;
        return count;
    }

    int submit_one(detail::context& c, iocb* block) {
        if (!block) return -EFAULT;
        // A loop must hear of what its helpers were refused for. It is woken by a read of no bytes.
        bool const wakes = static_cast<opcode>(block->aio_lio_opcode) == opcode::pread && block->aio_nbytes == 0;
        if (c.dead && !wakes) return -EIO;
        if (c.full() || random_.chance(options_.no_room)) return -EAGAIN;
        if (free_.empty()) {
            free_.push_back(kaio::detail::narrow<std::uint32_t>(requests_.size()));
            requests_.emplace_back();
        }
        std::uint32_t const i = free_.back();
        detail::in_flight& r = requests_[i];
        if (int const error = disk_.accept(*block, r)) return error;
        if (detail::disk::waits_for_queue(r)) {
            stay(next_completion_on(*r.target) - now_);
            return submit_one(c, block);
        }
        free_.pop_back();
        ++submitted_;
        block->aio_key = 0;
        r.owner = &c;
        r.data = block->aio_data;
        r.obj = reinterpret_cast<std::uintptr_t>(block);
        ++c.running;
        r.parked = r.op == opcode::poll && detail::disk::ready(r) == 0;
        if (!r.parked) {
            auto const [ns, blocks] = disk_.begin(r, now_);
            schedule(ns, i);
            if (blocks) stay(ns);
        }
        advance(one_request);
        return 0;
    }

    // When the next read or write of the file completes. REQUIRES: there is one
    std::int64_t next_completion_on(const detail::node& file) const noexcept {
        std::int64_t first = never;
        for (const due& each : due_)
            if (!each.fiber && requests_[each.request].queued && requests_[each.request].target == &file)
                first = (std::min)(first, each.time);
        return first;
    }

    long io_getevents(aio_context_id id, long min, long max, io_event* events, const kernel_timespec* timeout) {
        detail::context* const c = find(id);
        if (!c || min < 0 || min > max) return -EINVAL;
        advance(system_call);
        if (c->finished() == 0 && min != 0 && random_.chance(options_.interrupts)) return -EINTR;
        std::int64_t deadline = never;
        if (timeout) {
            if (timeout->tv_sec < 0 || timeout->tv_nsec < 0) return -EINVAL;
            if (timeout->tv_sec < (never - now_) / 1'000'000'000 - 1)
                deadline = now_ + timeout->tv_sec * 1'000'000'000 + timeout->tv_nsec;
        }
        while (static_cast<long>(c->finished()) < min && now_ < deadline) {
            if (next_ == never && deadline == never) {
                if (c->finished() != 0) break;
                return -EDEADLK; // on Linux this wait has no end
            }
            pass_to((std::min)(next_, deadline));
        }
        return static_cast<long>(c->take(events, static_cast<unsigned>(std::min<long>(max, INT32_MAX))));
    }

    int io_cancel(aio_context_id id, iocb* block) {
        detail::context* const c = find(id);
        advance(system_call);
        for (std::uint32_t i = 0; i < requests_.size(); ++i)
            if (c && requests_[i].owner == c && requests_[i].parked &&
                requests_[i].obj == reinterpret_cast<std::uintptr_t>(block)) {
                cancel(i);
                return -EINPROGRESS;
            }
        return -EINVAL;
    }

    void cancel(std::uint32_t request) {
        requests_[request].cancelled = true;
        wake(request);
    }

    bool is_cut_off(std::uint32_t request, const detail::node& file) const noexcept {
        return requests_[request].owner && requests_[request].target == &file && requests_[request].op != opcode::poll;
    }

    void wake(std::uint32_t request) {
        requests_[request].parked = false;
        schedule(0, request);
    }

    void signal(detail::node& event) {
        event.ready = true;
        for (std::uint32_t i = 0; i < requests_.size(); ++i)
            if (requests_[i].owner && requests_[i].parked && requests_[i].target == &event &&
                detail::disk::ready(requests_[i]) != 0)
                wake(i);
    }

    void schedule(std::int64_t ns, std::uint32_t request, detail::fiber* fiber = nullptr) {
        due_.push_back({now_ + ns, ++sequence_, request, fiber});
        std::push_heap(due_.begin(), due_.end());
        find_next();
    }

    void find_next() noexcept { next_ = (std::min)(crash_at_, due_.empty() ? never : due_.front().time); }

    void advance(std::int64_t nanoseconds) {
        if (running_) [[unlikely]] {
            running_->owed += nanoseconds; // the test's thread is not stuck
            return;
        }
        now_ += nanoseconds;
        if (now_ >= next_) [[unlikely]]
            deliver();
    }
    void pass_to(std::int64_t time) {
        std::int64_t const ns = time > now_ ? time - now_ : 0;
        if (running_)
            stay(ns);
        else
            advance(ns);
    }

    // The caller, a fiber or the test's thread, is stuck for so long. The world goes on.
    void stay(std::int64_t ns) {
        if (detail::fiber* const fiber = running_) {
            resume_in(*fiber, ns + std::exchange(fiber->owed, 0));
            fiber->pause();
            return;
        }
        for (std::int64_t const end = now_ + ns; now_ < end;) pass_to((std::min)(next_, end));
    }

    // For simulated helpers.
    void resume_in(detail::fiber& fiber, std::int64_t ns) { schedule(ns, 0, &fiber); }
    void resume(detail::fiber& fiber) {
        running_ = &fiber;
        fiber.resume();
        running_ = nullptr;
    }
    void forget(const detail::fiber& fiber) {
        std::erase_if(due_, [&](const due& each) noexcept { return each.fiber == &fiber; });
        std::make_heap(due_.begin(), due_.end());
        find_next();
    }

    // What the calls of a loop with helpers say. Null: nothing has this descriptor.
    detail::node* file_of(int fd) const noexcept { return disk_.find(static_cast<std::uint32_t>(fd)); }
    int status_flags(int fd) const noexcept {
        const detail::node* const file = file_of(fd);
        if (!file) return -EBADF;
        return file->options.direct ? O_RDWR | O_DIRECT : O_RDWR;
    }
    bool is_in_memory(int fd) const noexcept {
        const detail::node* const file = file_of(fd);
        return file && file->options.in_memory;
    }
    unsigned file_type(int fd) const noexcept {
        const detail::node* const file = file_of(fd);
        if (!file || file->is_event) return 0;
        return file->options.queue_depth != 0 ? S_IFBLK : S_IFREG;
    }
    void read_ahead(int fd, std::int64_t offset, std::uint64_t bytes) {
        advance(system_call);
        detail::node* const file = file_of(fd);
        if (file && offset >= 0) disk_.read_ahead(*file, static_cast<std::uint64_t>(offset), bytes, now_);
    }

    // Somebody looks at a ring or a clock.
    void look() { advance(one_look); }
    // Somebody pauses between two looks: time passes to the next thing that happens, if that is near.
    void relax() { pass_to((std::min)(next_, now_ + pause)); }

    // Completes what is due, in order.
    void deliver() {
        while (next_ <= now_) {
            if (next_ == crash_at_) {
                crash();
                continue;
            }
            std::pop_heap(due_.begin(), due_.end());
            std::uint32_t const i = due_.back().request;
            detail::fiber* const fiber = due_.back().fiber;
            due_.pop_back();
            find_next();
            if (fiber) {
                resume(*fiber);
                continue;
            }
            detail::in_flight& r = requests_[i];
            if (r.target->suspended && r.op != opcode::poll) {
                r.target->held.push_back(i);
                continue;
            }
            r.parked = r.op == opcode::poll && !r.cancelled && detail::disk::ready(r) == 0;
            if (!r.parked) complete(i, disk_.perform(r));
        }
    }

    void complete(std::uint32_t request, std::int64_t res) {
        detail::in_flight& r = requests_[request];
        detail::disk::end(r);
        --r.owner->running;
        r.owner->post({r.data, r.obj, res, 0});
        r.owner = nullptr;
        free_.push_back(request);
        if (r.notify) signal(*r.notify);
    }

    detail::context* find(aio_context_id id) const noexcept {
        for (auto& c : contexts_)
            if (c->id() == id) return c.get();
        return nullptr;
    }

    std::uint64_t seed_;
    random_source random_;
    sim::options options_;
    detail::disk disk_{random_, options_};
    std::int64_t now_ = 1'000'000'000;
    std::int64_t next_ = never;     // the next time at which something happens by itself
    std::int64_t crash_at_ = never; // the time of the next power loss
    unsigned crashes_ = 0;
    std::uint64_t submitted_ = 0; // see submitted()
    std::uint64_t sequence_ = 0;
    detail::fiber* running_ = nullptr; // null: the test's own thread runs
    std::vector<due> due_{};           // a heap
    std::vector<detail::in_flight> requests_{};
    std::vector<std::uint32_t> free_{}; // indices into requests_
    std::vector<std::unique_ptr<detail::context>> contexts_{};
};

// What world::make_event returns.
//     kaio::sim::event event = world.make_event();
//     loop.submit(kaio::poll(event.fd(), POLLIN), handler);
//     event.set();
// Copies name the same event. The world must outlive them.
class event {
public:
    // The descriptor, for poll and notify.
    int fd() const noexcept { return node_->fd; }

    // True if it is readable.
    bool ready() const noexcept { return node_->ready; }

    // Makes it readable: polls for POLLIN complete.
    void set() const { world_->signal(*node_); }
    // Makes it not readable.
    void clear() const noexcept { node_->ready = false; }

private:
    friend class world;
    event(world& world, detail::node& node) noexcept : world_(&world), node_(&node) {}

    world* world_;
    detail::node* node_;
};

inline sim::event world::make_event() { return sim::event(*this, disk_.make_event()); }

} // namespace kaio::sim
