// timer_queue: the timers of a loop, the earliest first, and those of one deadline in the order of submission. It is a
// pairing heap of operation_core's timer nodes. Inserting takes constant time. Removing any of them takes logarithmic
// time (amortised). It allocates nothing and belongs to its loop's thread.
//
//     root_ ──► A                     child: A's first child is B       back of B: A, its parent
//               │                     next:  B's next sibling is C      back of C: B, its previous sibling
//               B ── C ── D
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>

#include <kaio/io/duration.hpp>
#include <kaio/loop/detail/operation_core.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class timer_queue {
public:
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    // The earliest deadline, in the kernel's time (ns). duration::unlimited if there is none.
    std::int64_t earliest() const noexcept { return root_ ? root_->as.timer.deadline : duration::unlimited; }

    void insert(operation_core& timer, std::int64_t deadline) noexcept {
        timer_node& node = timer.as.timer;
        node.order = inserted_++;
        node.deadline = deadline;
        node.child = nullptr;
        node.in_queue = 1;
        timer.next = nullptr;
        root_ = root_ ? &merge(*root_, timer) : &timer;
        ++size_;
    }

    // Removes the earliest.
    operation_core& pop() noexcept {
        assert(!empty() && "kaio: no timer to pop");
        operation_core& timer = *root_;
        (void)remove(timer);
        return timer;
    }

    // Returns false if the operation is not one of the timers here.
    bool remove(operation_core& operation) noexcept {
        timer_node& node = operation.as.timer;
        if (node.in_queue != 1) return false;
        operation_core* const below = merge_siblings(node.child);
        if (&operation == root_) {
            root_ = below;
        } else {
            cut(operation);
            if (below) root_ = &merge(*root_, *below);
        }
        node.in_queue = 0;
        --size_;
        return true;
    }

private:
    static bool before(const timer_node& a, const timer_node& b) noexcept {
        if (a.deadline != b.deadline) return a.deadline < b.deadline;
        return a.order < b.order;
    }

    // The earlier of two roots becomes the parent of the other.
    static operation_core& merge(operation_core& a, operation_core& b) noexcept {
        bool const a_first = before(a.as.timer, b.as.timer);
        operation_core &parent = a_first ? a : b, &child = a_first ? b : a;
        operation_core* const siblings = parent.as.timer.child;
        child.next = siblings;
        if (siblings) siblings->as.timer.back = &child;
        child.as.timer.back = &parent;
        parent.as.timer.child = &child;
        parent.next = nullptr;
        return parent;
    }

    // Makes one tree of a list of siblings: in pairs from the left, and then those from the right. That is what keeps
    // the cost logarithmic. Returns null for null.
    static operation_core* merge_siblings(operation_core* siblings) noexcept {
        operation_core* pairs = nullptr; // through next, the last pair first
        while (siblings) {
            operation_core* const a = siblings;
            operation_core* const b = a->next;
            siblings = b ? b->next : nullptr;
            operation_core& pair = b ? merge(*a, *b) : *a;
            pair.next = pairs;
            pairs = &pair;
        }
        operation_core* tree = nullptr;
        while (pairs) {
            operation_core* const next = pairs->next;
            pairs->next = nullptr;
            tree = tree ? &merge(*tree, *pairs) : pairs;
            pairs = next;
        }
        return tree;
    }

    // Removes a tree from its parent. REQUIRES: it is not the root
    static void cut(operation_core& operation) noexcept {
        operation_core* const back = operation.as.timer.back;
        (back->as.timer.child == &operation ? back->as.timer.child : back->next) = operation.next;
        if (operation.next) operation.next->as.timer.back = back;
        operation.next = nullptr;
    }

    operation_core* root_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t inserted_ = 0; // timers, ever
};

} // namespace kaio::detail
