// kept_post: a posted function that its owner keeps, and whether it is on its way. Posting it allocates nothing.
//
//     state        call       by                   next
//     at home      depart     any thread           on its way
//     on its way   depart     any thread           on its way, and the caller is told so
//     on its way   arrive     the loop's thread    at home
//
// What a thread did before either kind of `depart` is seen after the next `arrive`.
#pragma once

#include <kaio/sys/language.hpp>

#include <cstdio>
#include <cstdlib>

#include <kaio/loop/detail/mailbox.hpp>
#include <kaio/sys/process.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class kept_post : public posted {
public:
    kept_post(const kept_post&) = delete;
    kept_post& operator=(const kept_post&) = delete;

protected:
    explicit kept_post(void (*function)(posted&)) noexcept : posted{nullptr, function} {}
    ~kept_post() = default;

    // Returns false if it is on its way already. `process` is a loop's mark, which stays until it arrives.
    bool depart(const unsigned* process) noexcept {
        if (__atomic_exchange_n(&on_its_way_, true, __ATOMIC_ACQ_REL)) return false;
        process_ = process;
        return true;
    }
    void arrive() noexcept { (void)__atomic_exchange_n(&on_its_way_, false, __ATOMIC_ACQ_REL); }
    bool on_its_way() const noexcept { return __atomic_load_n(&on_its_way_, __ATOMIC_RELAXED); }

    // For destructors. Ends the program in every build: going on would let a loop call what is gone. But not in a
    // forked child: there it is the parent's.
    void expect_arrived(const char* message) const noexcept {
        if (on_its_way()) [[unlikely]]
            destroyed_too_early(message);
    }

private:
    [[gnu::__cold__, gnu::__noinline__]] void destroyed_too_early(const char* message) const noexcept {
        if (*process_ == mark_of_child) return;
        std::fputs(message, stderr);
        std::abort();
    }

    bool on_its_way_ = false;
    const unsigned* process_ = nullptr; // the mark of the process in which it is on its way
};

} // namespace kaio::detail
