// poll_list: the poll requests that a loop has in flight, so that its destructor can cancel them. Doubly linked through
// operation_core's poll form. It allocates nothing and belongs to its loop's thread.
#pragma once

#include <kaio/loop/detail/operation_core.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class poll_list {
public:
    bool empty() const noexcept { return first_ == nullptr; }

    // REQUIRES: it is a poll, and the kernel has accepted it
    void link(operation_core& poll) noexcept {
        poll.as.poll.previous = nullptr;
        poll.as.poll.next = first_;
        if (first_) first_->as.poll.previous = &poll;
        first_ = &poll;
    }

    // REQUIRES: it is linked
    void unlink(operation_core& poll) noexcept {
        operation_core *const next = poll.as.poll.next, *const previous = poll.as.poll.previous;
        if (next) next->as.poll.previous = previous;
        (previous ? previous->as.poll.next : first_) = next;
    }

    template <class Visit> void for_each(Visit visit) noexcept {
        for (operation_core* poll = first_; poll; poll = poll->as.poll.next) visit(poll->as.request);
    }

private:
    operation_core* first_ = nullptr;
};

} // namespace kaio::detail
