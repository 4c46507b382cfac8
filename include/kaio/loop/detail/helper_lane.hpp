// helper_lane: requests of one loop on their way through a helper to the kernel, in order. One helper at a time works
// for a lane: it takes all that is there and hands it over with one io_submit, which may block. The events come to the
// loop as all others do. What the kernel refuses comes back by a post.
//
// The job is for the helper. All the rest is for the loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstdint>
#include <utility>

#include <sys/uio.h>

#include <kaio/io/context.hpp>
#include <kaio/io/view.hpp>
#include <kaio/loop/detail/inbox.hpp>
#include <kaio/loop/detail/mailbox.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/helper_team.hpp>

namespace kaio::inline KAIO_BUILD::detail {

// Bytes that a read or write asks for.
inline std::uint64_t bytes_of(const iocb& request) noexcept {
    auto const op = static_cast<opcode>(request.aio_lio_opcode);
    if (op != opcode::preadv && op != opcode::pwritev) return request.aio_nbytes;
    auto const* const vector = pointer_in<const iovec>(request.aio_buf);
    std::uint64_t bytes = 0;
    for (std::uint64_t i = 0; i < request.aio_nbytes; ++i) bytes += vector[i].iov_len;
    return bytes;
}

// `Core` is the loop's.
template <class Core> class helper_lane : public helper_job {
public:
    helper_lane() noexcept : helper_job{&submit_all}, refusal_{{nullptr, &deliver}, this} {}
    helper_lane(const helper_lane&) = delete;
    helper_lane& operator=(const helper_lane&) = delete;

    // The word of a read on its way: the helper is to start it, and those with it, before it waits for the first.
    static constexpr int read_ahead = 1;

    // Gathers a request for the next hand_over.
    void gather(operation_core& operation) noexcept {
        operation.next = newest_;
        if (!newest_) oldest_ = &operation;
        newest_ = &operation;
    }

    // Hands over what was gathered. One wake-up at most, however many requests. If the team has no helper, this is the
    // one, and may block. `core` is the loop's, and stays until the lane is idle.
    void hand_over(Core& core, helper_team& team) noexcept {
        if (!newest_) return;
        bool const asleep = inbox_.push(*std::exchange(newest_, nullptr), *oldest_);
        if (!asleep) return;
        core_ = &core;
        if (!team.start(*this)) submit_all(*this);
    }

    // True if no request is on its way.
    bool idle() const noexcept { return inbox_.sleeps(); }

    // Calls visit(operation) for each request that no helper has taken yet: true takes it out.
    template <class Visit> void take_back(Core& core, helper_team& team, Visit visit) noexcept {
        for (operation_core* each = inbox_.take_back(); each != nullptr;) {
            operation_core& operation = *std::exchange(each, each->next);
            if (!visit(operation)) gather(operation);
        }
        hand_over(core, team);
    }

    // Waits for the helper that works for this lane, if one does.
    void wait(helper_team& team) noexcept { team.wait_for(*this); }

private:
    static constexpr unsigned most_at_once = 32;

    struct refusal : posted {
        helper_lane* lane;
    };

    // The job.
    static void submit_all(helper_job& self) noexcept {
        auto& lane = static_cast<helper_lane&>(self);
        do
            for (operation_core* rest = lane.inbox_.pop_all(); rest != nullptr;) rest = lane.submit(rest);
        while (!lane.inbox_.fall_asleep());
    }

    // Submits the first of a chain. Returns the rest. A request that was accepted may have completed, and be another by
    // now.
    operation_core* submit(operation_core* chain) noexcept {
        iocb* batch[most_at_once];
        unsigned count = 0;
        while (chain != nullptr && count != most_at_once) {
            operation_core& operation = *std::exchange(chain, chain->next);
            operation.habit = nullptr;
            if (operation.helper_word() == read_ahead) start_reading(operation.as.request);
            batch[count++] = &operation.as.request;
        }
        for (view<iocb* const> rest{batch, count}; !rest.empty();) {
            submission const answer = core_->context.submit_expected(rest);
            rest = rest.subspan(answer.accepted());
            if (answer) continue;
            refuse(operation_core::of(rest[0]), answer.error_number());
            rest = rest.subspan(1);
        }
        return chain;
    }

    void start_reading(const iocb& request) noexcept {
        core_->context.get_kernel().read_ahead(static_cast<int>(request.aio_fildes), request.aio_offset,
                                               bytes_of(request));
    }

    void refuse(operation_core& operation, int error) noexcept {
        operation.set_helper_word(-error);
        if (refused_.push(operation)) core_->mailbox.post_kept(core_->context, refusal_);
    }

    // A post: what was refused has come back.
    static void deliver(posted& self) {
        helper_lane& lane = *static_cast<refusal&>(self).lane;
        Core& core = *lane.core_;
        core.completions.forget_post();
        do
            for (operation_core* each = lane.refused_.pop_all(); each != nullptr;) {
                operation_core& operation = *std::exchange(each, each->next);
                core.detour.get()->came_back(core, operation);
            }
        while (!lane.refused_.fall_asleep());
    }

    operation_core* newest_ = nullptr; // gathered
    operation_core* oldest_ = nullptr;
    inbox<operation_core> inbox_{taker::asleep};   // handed over; the taker is the helper
    inbox<operation_core> refused_{taker::asleep}; // the taker is the loop's thread
    Core* core_ = nullptr;                         // set while the lane is idle
    refusal refusal_;
};

} // namespace kaio::detail
