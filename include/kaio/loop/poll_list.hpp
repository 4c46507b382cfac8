// poll_list: the poll requests that are in flight in a loop, so that its destructor can cancel them. Intrusive and
// doubly linked: the kernel has copied the iocb by then and looks only at its aio_key, so the links lie in two of the
// iocb's fields that a poll does not use.
#pragma once

#include <cstdint>

#include <kaio/loop/operation.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

class poll_list {
public:
    static bool is_poll(const operation& op) noexcept {
        return op.block_.aio_lio_opcode == static_cast<std::uint16_t>(opcode::poll);
    }

    // REQUIRES: is_poll(op), and the kernel has accepted it
    void link(operation& op) noexcept {
        set_previous(op, nullptr);
        set_next(op, first_);
        if (first_) set_previous(*first_, &op);
        first_ = &op;
    }

    // REQUIRES: it is linked
    void unlink(operation& op) noexcept {
        operation *const after = next(op), *const before = previous(op);
        if (after) set_previous(*after, before);
        if (before)
            set_next(*before, after);
        else
            first_ = after;
    }

    template <class Visit> void for_each(Visit visit) noexcept {
        for (operation* op = first_; op; op = next(*op)) visit(op->block_);
    }

private:
    static operation* at(std::uint64_t address) noexcept { return detail::pointer_in<operation>(address); }
    static operation* next(const operation& op) noexcept {
        return at(static_cast<std::uint64_t>(op.block_.aio_offset));
    }
    static operation* previous(const operation& op) noexcept { return at(op.block_.aio_nbytes); }
    static void set_next(operation& op, operation* to) noexcept {
        op.block_.aio_offset = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to));
    }
    static void set_previous(operation& op, operation* to) noexcept {
        op.block_.aio_nbytes = reinterpret_cast<std::uintptr_t>(to);
    }

    operation* first_ = nullptr;
};

} // namespace kaio
