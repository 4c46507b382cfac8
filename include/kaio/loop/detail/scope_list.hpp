// scope_list: the polls and timers that were submitted through a request_scope, the oldest first, so that they can be
// cancelled. A scope_entry lies beside the handler, or in the coroutine's frame, and leaves its list when it is
// destroyed. The list is doubly linked and ends in itself. It allocates nothing and belongs to its loop's thread.
//
//     head ──next_──► oldest entry ──► … ──► newest entry ──► head
#pragma once

#include <kaio/loop/detail/operation_core.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class scope_entry {
public:
    scope_entry() noexcept = default;
    explicit scope_entry(operation_core* named) noexcept : operation(named) {}
    scope_entry(const scope_entry&) = delete;
    scope_entry& operator=(const scope_entry&) = delete;
    ~scope_entry() { unlink(); }

    bool linked() const noexcept { return next_ != nullptr; }
    void unlink() noexcept {
        if (!linked()) return;
        next_->previous_ = previous_;
        previous_->next_ = next_;
        next_ = previous_ = nullptr;
    }

    operation_core* operation = nullptr; // what is to be cancelled

private:
    friend class scope_list;
    scope_entry* next_ = nullptr; // null: in no list, as is previous_
    scope_entry* previous_ = nullptr;
};

class scope_list {
public:
    scope_list() noexcept { head_.next_ = head_.previous_ = &head_; }
    scope_list(const scope_list&) = delete;
    scope_list& operator=(const scope_list&) = delete;
    ~scope_list() { // in a forked child there may be entries
        while (!empty()) head_.next_->unlink();
    }

    bool empty() const noexcept { return head_.next_ == &head_; }

    // Puts the entry at the end. REQUIRES: it is in no list
    void push(scope_entry& entry) noexcept {
        entry.next_ = &head_;
        entry.previous_ = head_.previous_;
        entry.previous_->next_ = head_.previous_ = &entry;
    }

    template <class Visit> void for_each(Visit visit) noexcept {
        for (scope_entry* each = head_.next_; each != &head_; each = each->next_) visit(*each->operation);
    }

private:
    scope_entry head_{};
};

} // namespace kaio::detail
