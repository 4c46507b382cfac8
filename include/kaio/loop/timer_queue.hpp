// timer_queue: the timers of a loop, the earliest first; equal ones in the order of submission. A pairing heap through
// fields of the operations' iocbs that no kernel sees: no allocation, constant time to add one, logarithmic (amortised)
// to take the first out or any other. It belongs to its loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include <kaio/io/duration.hpp>
#include <kaio/loop/operation.hpp>
#include <kaio/sys/narrow.hpp>

namespace kaio::inline KAIO_BUILD {

// Something to submit to a loop: completes with 0 when `delay` has passed since its submission, never earlier, or with
// ECANCELED. With no limit it completes only when it is cancelled, or the loop destroyed.
// The clock is CLOCK_MONOTONIC: setting the time of day changes nothing, and it stands still in a suspended machine.
struct timer {
    duration delay;
};

// A timer of `delay` (a std::chrono duration or alike).
constexpr timer after(duration delay) noexcept { return {delay}; }

class timer_queue {
public:
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    // The earliest deadline, in the kernel's time (ns); duration::unlimited if there is none.
    std::int64_t first() const noexcept { return root_ ? deadline(*root_) : duration::unlimited; }

    void insert(operation& op, std::int64_t deadline) noexcept {
        op.fill({}); // all but what makes it busy
        op.block_.aio_lio_opcode = opcode_timer;
        op.block_.aio_offset = deadline;
        op.block_.aio_key = submissions_++;
        root_ = root_ ? &merge(*root_, op) : &op;
        ++size_;
    }

    // Takes the earliest out. REQUIRES: !empty()
    operation& pop() noexcept {
        operation& op = *root_;
        (void)remove(op);
        return op;
    }

    // False: it is not, or no more, one of them.
    bool remove(operation& op) noexcept {
        if (op.block_.aio_lio_opcode != opcode_timer) return false;
        operation* const below = merge_siblings(child(op));
        if (&op == root_) {
            root_ = below;
        } else {
            cut(op);
            if (below) root_ = &merge(*root_, *below);
        }
        op.block_.aio_lio_opcode = 0;
        --size_;
        return true;
    }

private:
    static constexpr std::uint16_t opcode_timer = 0xffff; // none of the kernel's: marks what is in the queue

    static std::int64_t deadline(const operation& op) noexcept { return op.block_.aio_offset; }

    // Wraps after 4 billion timers, which is right as long as those of one deadline are fewer than half of that.
    static bool before(const operation& a, const operation& b) noexcept {
        if (deadline(a) != deadline(b)) return deadline(a) < deadline(b);
        return static_cast<std::int32_t>(a.block_.aio_key - b.block_.aio_key) < 0;
    }

    // The links: the first child, the next sibling (next_), and what points here: the previous sibling, or the parent.
    static operation* at(std::uint64_t address) noexcept { return detail::pointer_in<operation>(address); }
    static std::uint64_t address(operation* op) noexcept { return reinterpret_cast<std::uintptr_t>(op); }
    static operation* child(const operation& op) noexcept { return at(op.block_.aio_buf); }
    static void set_child(operation& op, operation* to) noexcept { op.block_.aio_buf = address(to); }
    static operation* back(const operation& op) noexcept { return at(op.block_.aio_nbytes); }
    static void set_back(operation& op, operation* to) noexcept { op.block_.aio_nbytes = address(to); }

    // The earlier of two roots becomes the parent of the other.
    static operation& merge(operation& a, operation& b) noexcept {
        bool const first = before(a, b);
        operation &parent = first ? a : b, &other = first ? b : a;
        operation* const siblings = child(parent);
        other.next_ = siblings;
        if (siblings) set_back(*siblings, &other);
        set_back(other, &parent);
        set_child(parent, &other);
        parent.next_ = nullptr;
        return parent;
    }

    // Makes one tree of a list of siblings: in pairs from the left, then those from the right, which is what keeps the
    // cost logarithmic. Null for null.
    static operation* merge_siblings(operation* siblings) noexcept {
        operation* pairs = nullptr; // through next_, the last pair first
        while (siblings) {
            operation* const a = siblings;
            operation* const b = a->next_;
            siblings = b ? b->next_ : nullptr;
            operation& pair = b ? merge(*a, *b) : *a;
            pair.next_ = pairs;
            pairs = &pair;
        }
        operation* tree = nullptr;
        while (pairs) {
            operation* const next = pairs->next_;
            pairs->next_ = nullptr;
            tree = tree ? &merge(*tree, *pairs) : pairs;
            pairs = next;
        }
        return tree;
    }

    // Takes a tree away from its parent. REQUIRES: it is not the root
    static void cut(operation& op) noexcept {
        operation* const before = back(op);
        if (child(*before) == &op)
            set_child(*before, op.next_);
        else
            before->next_ = op.next_;
        if (op.next_) set_back(*op.next_, before);
        op.next_ = nullptr;
    }

    operation* root_ = nullptr;
    std::size_t size_ = 0;
    std::uint32_t submissions_ = 0;
};

} // namespace kaio
