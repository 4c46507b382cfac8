// operation_list: operations in the order in which they came, linked through operation_core::next. It allocates nothing
// and belongs to its loop's thread.
#pragma once

#include <cassert>
#include <cstddef>

#include <kaio/loop/detail/operation_core.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class operation_list {
public:
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

    void push(operation_core& operation) noexcept {
        operation.next = nullptr;
        *(size_++ != 0 ? &last_->next : &first_) = &operation;
        last_ = &operation;
    }

    // Before all others.
    void push_front(operation_core& operation) noexcept {
        operation.next = first_;
        if (size_++ == 0) last_ = &operation;
        first_ = &operation;
    }

    operation_core& pop() noexcept {
        assert(!empty() && "kaio: nothing to pop");
        operation_core& operation = *first_;
        first_ = operation.next;
        --size_;
        return operation;
    }

    // Visits each in turn.
    template <class Visit> void for_each(Visit visit) const {
        const operation_core* each = first_;
        for (std::size_t left = size_; left != 0; --left, each = each->next) visit(*each);
    }

    // Removes it, wherever it stands. Returns false if it is not in the list. It looks at each in turn until it is
    // found, so operations that are removed in the order in which they came cost no search.
    bool remove(operation_core& operation) noexcept {
        operation_core *previous = nullptr, *each = first_;
        for (std::size_t left = size_; left != 0; --left) {
            if (each == &operation) {
                (previous ? previous->next : first_) = operation.next;
                if (last_ == &operation) last_ = previous;
                --size_;
                return true;
            }
            previous = each;
            each = each->next;
        }
        return false;
    }

private:
    operation_core* first_ = nullptr; // valid unless empty, as is last_
    operation_core* last_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace kaio::detail
