// helper_detour: decides which requests of a loop go to a helper, and by which lane. A request that might block is tried
// first: given to the kernel with RWF_NOWAIT. If the event says that it would have blocked, a helper submits it as it
// is. What a file's requests did before decides whether the next is tried. It belongs to its loop's thread.
//
//     queue ──► at once ──────────────► kernel ──► event ──► completed
//       ├─────► tried, with NOWAIT ───► kernel ──► event ──┘ │
//       │                                 EAGAIN, refused ───┤
//       └─────► known to block ─────────► lane ──► helper ◄──┘ ──► kernel ──► event ──► completed
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

#include <kaio/io/view.hpp>
#include <kaio/loop/detail/detour.hpp>
#include <kaio/loop/detail/habits.hpp>
#include <kaio/loop/detail/helper_lane.hpp>
#include <kaio/loop/detail/offload_lane.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/operation_list.hpp>
#include <kaio/loop/observer.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/helper_team.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD::detail {

template <class Core> class helper_detour final : public detour<Core> {
public:
    // Returns null if there is no memory.
    static detour<Core>* make(helper_team& team) noexcept {
        auto* const made = new (std::nothrow) helper_detour(team);
        if (!made || made->lanes_) return made;
        delete made;
        return nullptr;
    }
    ~helper_detour() override { delete[] lanes_; }

    unsigned submit(Core& core) noexcept override {
        ++pass_;
        core.queue.divert([&](operation_core& operation) { return diverts(core, operation); });
        unsigned const accepted = core.queue.batched() != 0 ? core.queue.submit(core.context, answers{*this, core}) : 0;
        hand_over(core);
        return accepted;
    }

    view<io_event> completed(Core& core, view<io_event> events) noexcept override {
        io_event* kept = events.begin();
        for (io_event& event : events)
            if (completes(core, event)) *kept++ = event;
        hand_over(core);
        return events.first(static_cast<std::size_t>(kept - events.begin()));
    }

    void came_back(Core& core, operation_core& operation) noexcept override {
        core.context.unexpect();
        int const result = operation.helper_word();
        if (result == -EAGAIN && core.queue.put_back_without_room(operation, core.context.in_flight() != 0)) return;
        // Refused without NOWAIT too: that was no word on NOWAIT.
        if (result == -EOPNOTSUPP || result == -EINVAL) habit_of(core, operation.as.request).went_through();
        core.completions.add_outcome(operation, result);
        core.queue.give_back_room();
    }

    bool remove(Core& core, operation_core& operation) noexcept override {
        bool found = false;
        habits_.for_each([&](file_habit& habit) { found = found || habit.stalled.remove(operation); });
        for (unsigned i = 0; i < team_.size() && !found; ++i)
            lanes_[i].take_back(core, team_, [&](operation_core& each) {
                if (&each != &operation) return false;
                core.context.unexpect();
                return found = true;
            });
        if (found) core.queue.give_back_room();
        return found;
    }

    void cancel_all(Core& core) noexcept override {
        auto const cancel = [&](operation_core& operation) {
            core.completions.add_outcome(operation, -ECANCELED);
            core.queue.give_back_room();
        };
        habits_.for_each([&](file_habit& habit) {
            while (!habit.stalled.empty()) cancel(habit.stalled.pop());
        });
        for (unsigned i = 0; i < team_.size(); ++i)
            lanes_[i].take_back(core, team_, [&](operation_core& operation) {
                core.context.unexpect();
                cancel(operation);
                return true;
            });
    }

    void offload(offloaded& function) noexcept override { offloads_.hand_over(function); }

    void close() noexcept override {
        for (unsigned i = 0; i < team_.size(); ++i) lanes_[i].wait(team_);
        offloads_.wait();
    }

private:
    // What io_submit said of requests that were tried. See request_queue::submit.
    struct answers {
        helper_detour& detour;
        Core& core;

        bool refused(operation_core& operation, int error) const noexcept {
            if (file_habit* const habit = detour.untry(operation); habit && (error == EOPNOTSUPP || error == EINVAL)) {
                habit->knows_no_nowait();
                detour.gather(core, operation, helper_reason::no_nowait);
                return true;
            }
            core.completions.add_outcome(operation, -error);
            return false;
        }
        void kept(operation_core& operation) const noexcept { detour.untry(operation); }
    };

    explicit helper_detour(helper_team& team) noexcept
        : team_(team), lanes_(new(std::nothrow) helper_lane<Core>[team.size()]) {}

    // Sends a request of the batch on its way. True: to a helper.
    bool diverts(Core& core, operation_core& operation) noexcept {
        iocb& request = operation.as.request;
        operation.habit = nullptr;
        if (!may_block(request) || (request.aio_rw_flags & nowait) != 0) return false;
        file_habit& habit = habit_of(core, request);
        if (habit.usual == way::at_once && still_at_once(core.context.get_kernel(), habit)) return false;
        if (habit.next(pass_) == way::helper || waits_for_disk(habit, request) || appends(habit, request)) {
            operation.set_helper_word(habit.writes || habit.direct ? 0 : helper_lane<Core>::read_ahead);
            gather(core, operation, helper_reason::known_to_block);
            return true;
        }
        operation.habit = &habit;
        ++habit.tried;
        request.aio_rw_flags |= nowait;
        return false;
    }

    file_habit& habit_of(Core& core, const iocb& request) noexcept {
        return habits_.of(request, [&](file_habit& fresh) { learn(core.context.get_kernel(), fresh); });
    }

    // An fsync is a job of the kernel's own threads, and a poll waits for nothing.
    static bool may_block(const iocb& request) noexcept {
        auto const op = static_cast<opcode>(request.aio_lio_opcode);
        return op != opcode::fsync && op != opcode::fdsync && op != opcode::poll;
    }

    // If the request was tried, undoes that and returns its habit.
    static file_habit* untry(operation_core& operation) noexcept {
        file_habit* const habit = std::exchange(operation.habit, nullptr);
        if (habit) {
            operation.as.request.aio_rw_flags &= ~nowait;
            --habit->tried;
        }
        return habit;
    }

    // False if the event says that its request would have blocked. Then that is on its way to a helper.
    bool completes(Core& core, const io_event& event) noexcept {
        operation_core& operation = operation_core::of(event);
        file_habit* const habit = untry(operation);
        if (!habit) return true;
        auto const& policy = core.context.get_kernel();
        if (event.res == -EAGAIN) {
            if (stalls(policy, *habit, operation.as.request)) {
                habit->stalled.push(operation);
                return false;
            }
            habit->would_block();
            pass_on_stalled(core, *habit);
            gather(core, operation, helper_reason::would_block);
            return false;
        }
        if (event.res == -EOPNOTSUPP) {
            habit->knows_no_nowait();
            gather(core, operation, helper_reason::no_nowait);
            return false;
        }
        if (is_short(operation.as.request, event.res) && may_repeat(policy, operation.as.request)) {
            gather(core, operation, helper_reason::would_block);
            return false;
        }
        habit->went_through();
        release_stalled(core, *habit);
        return true;
    }

    // The transfer stopped short of what was asked for. With NOWAIT it may have stopped where it would have blocked.
    // Direct I/O too: some file systems buffer it, and a descriptor that is known as direct may name another file now.
    static bool is_short(const iocb& request, std::int64_t res) noexcept {
        return res > 0 && static_cast<std::uint64_t>(res) < bytes_of(request);
    }

    // To read a part of a regular file twice, or write it twice, is harmless, unless it is appended.
    template <class Kernel> static bool may_repeat(const Kernel& policy, const iocb& request) noexcept {
        int const file = static_cast<int>(request.aio_fildes);
        return policy.file_type(file) == S_IFREG && (request.aio_rw_flags & append) == 0 &&
               (policy.status_flags(file) & O_APPEND) == 0;
    }

    // A kernel that knows NOWAIT still waits for the disk at the end of such a write.
    static bool waits_for_disk(const file_habit& habit, const iocb& request) noexcept {
        return habit.writes && !habit.direct && (habit.synchronous || (request.aio_rw_flags & any_sync) != 0);
    }

    // Such writes land in the order in which they go, and what a try has appended can't be appended again.
    static bool appends(const file_habit& habit, const iocb& request) noexcept {
        return habit.writes && (habit.appends || (request.aio_rw_flags & append) != 0);
    }

    template <class Kernel> static void learn(const Kernel& policy, file_habit& habit) noexcept {
        int const flags = policy.status_flags(static_cast<int>(habit.file));
        habit.direct = flags >= 0 && (flags & O_DIRECT) != 0;
        habit.synchronous = flags >= 0 && (flags & O_DSYNC) != 0;
        habit.appends = flags >= 0 && (flags & O_APPEND) != 0;
        if (policy.is_in_memory(static_cast<int>(habit.file))) habit.usual = way::at_once;
    }

    // A descriptor may name another file by now. One look is enough for a pass.
    template <class Kernel> bool still_at_once(const Kernel& policy, file_habit& habit) noexcept {
        if (std::exchange(habit.pass, pass_) == pass_) return true;
        if (!policy.is_in_memory(static_cast<int>(habit.file))) {
            habit.usual = way::try_it;
            return false;
        }
        return true;
    }

    // A device whose queue is full has room as soon as a request completes, so no helper is needed.
    // (The descriptor is the request's: the crowd's habit is of many.)
    template <class Kernel>
    static bool stalls(const Kernel& policy, const file_habit& habit, const iocb& request) noexcept {
        return habit.tried != 0 && policy.file_type(static_cast<int>(request.aio_fildes)) == S_IFBLK;
    }
    // Something of the device has completed: as many as have room now are tried again, and one more, to find out.
    void release_stalled(Core& core, file_habit& habit) noexcept {
        for (unsigned count = habit.tried != 0 ? 2 : ~0u; count != 0 && !habit.stalled.empty(); --count)
            core.queue.put_back(habit.stalled.pop());
    }
    void pass_on_stalled(Core& core, file_habit& habit) noexcept {
        while (!habit.stalled.empty()) gather(core, habit.stalled.pop(), helper_reason::would_block);
    }

    // Has a helper submit the request, which keeps its room. Writes of a file go by one lane, because their order
    // matters to the file system. Reads are spread.
    void gather(Core& core, operation_core& operation, helper_reason reason) noexcept {
        auto const op = static_cast<opcode>(operation.as.request.aio_lio_opcode);
        bool const reads = op == opcode::pread || op == opcode::preadv;
        core.context.expect();
        lanes_[(reads ? reads_++ / reads_in_turn : operation.as.request.aio_fildes) % team_.size()].gather(operation);
        if constexpr (requires { core.observer.on_helper(reason); }) core.observer.on_helper(reason);
    }
    void hand_over(Core& core) noexcept {
        for (unsigned i = 0; i < team_.size(); ++i) lanes_[i].hand_over(core, team_);
        reads_ += -reads_ % reads_in_turn;
    }

    static constexpr unsigned reads_in_turn = 8; // go by one lane before the next lane's turn
    static constexpr auto nowait = static_cast<std::int32_t>(rw_flags::nowait);
    static constexpr auto append = static_cast<std::int32_t>(rw_flags::append);
    static constexpr auto any_sync = static_cast<std::int32_t>(rw_flags::dsync | rw_flags::sync);

    helper_team& team_;
    helper_lane<Core>* lanes_; // one for each helper
    unsigned reads_ = 0;       // that helpers got, rounded up
    unsigned pass_ = 0;        // calls of submit
    habits habits_{};
    offload_lane offloads_{team_};
};

} // namespace kaio::detail
