// completions: what has completed in a loop and whose handlers are still to be called. There are three sources: events
// of the kernel, outcomes that the loop itself has decided (expired timers, and what was cancelled or refused), and
// posted functions, which lie in the mailbox. It calls the handlers, so that each source gets its turn. It belongs to
// its loop's thread.
#pragma once

#include <kaio/sys/cpp20.hpp>

#include <cstddef>
#include <cstdint>

#include <kaio/io/view.hpp>
#include <kaio/loop/detail/arrivals.hpp>
#include <kaio/loop/detail/operation_core.hpp>
#include <kaio/loop/detail/operation_list.hpp>
#include <kaio/sys/abi.hpp>
#include <kaio/sys/reset_on_move.hpp>

namespace kaio::inline KAIO_BUILD::detail {

class completions {
public:
    // Makes room for `capacity` events. To be called once, before anything else. Returns false if there is no memory.
    bool reserve(std::size_t capacity) noexcept {
        arrivals_.reset(arrivals::make(capacity));
        return has_room();
    }
    // False if the loop was moved from.
    bool has_room() const noexcept { return static_cast<bool>(arrivals_); }

    // Where events are to be put, before `add`. REQUIRES: has_room() and !has_events()
    view<io_event> room() noexcept { return arrivals_.get()->room(); }
    void add(view<io_event> events) noexcept {
        arrivals_.get()->add(events);
        accounted_ += events.size();
    }
    void add_outcome(operation_core& operation, int result) noexcept {
        operation.set_outcome(result);
        outcomes_.push(operation);
    }

    // For a posted function of kaio's own, which is no handler of the user's.
    void forget_post() noexcept { --accounted_; }

    bool has_events() const noexcept { return !arrivals_.get()->empty(); } // REQUIRES: has_room()

    // True if its event has come and its handler is still to be called. It looks at each event in turn.
    bool has_event_of(const operation_core& operation) const noexcept { // REQUIRES: has_room()
        return arrivals_.get()->has_event_of(operation.as.request);
    }

    // Operations whose handlers are still to be called.
    std::size_t size() const noexcept { return outcomes_.size() + (has_room() ? arrivals_.get()->size() : 0); }

    // Handlers called, ever. REQUIRES: has_room()
    std::size_t handled() const noexcept { return accounted_ - arrivals_.get()->size(); }

    // True while handlers are being called, by whatever call of poll or run.
    bool in_handler() const noexcept { return arrivals_.get()->in_handler(); }

    // Calls function() as handlers are called.
    template <class Function> void inside(Function&& function) {
        if (!has_room()) return function();
        arrivals::dispatching const here(arrivals_.get());
        function();
    }

    // Calls the handlers of all that has completed: `complete(operation, result)` does that for one of them. Every step
    // is finished before the handler runs, so that it may do anything. A handler that throws does not keep the sources
    // behind it from their turn: the next call begins there. Returns handled().
    template <class Mailbox, class Complete> std::size_t dispatch(Mailbox& mailbox, Complete complete) {
        arrivals::dispatching const here(arrivals_.get());
        if (turn_ != source::outcomes) [[unlikely]]
            dispatch_rest(here, mailbox, complete);
        dispatch_outcomes(here, complete);
        dispatch_events(here, complete);
        dispatch_posts(here, mailbox);
        return handled(); // a posted function's own run_one may have left events
    }

    // Calls one handler, if there is one. Returns handled(). The sources take turns, so that what is always there does
    // not keep the others from theirs.
    template <class Mailbox, class Complete> std::size_t dispatch_one(Mailbox& mailbox, Complete complete) {
        arrivals::dispatching const here(arrivals_.get());
        for (int sources = 3; sources != 0 && !dispatch_from(next_turn(), here, mailbox, complete); --sources) {
        }
        here.loop_stays();
        return handled();
    }

    // Calls the handlers of outcomes in a loop that was moved from, and so has no events.
    template <class Complete> void dispatch_outcomes(Complete complete) {
        while (!outcomes_.empty()) dispatch_outcome(complete);
    }

private:
    enum class source : unsigned char { outcomes, events, posts };

    source next_turn() noexcept {
        source const turn = turn_;
        turn_ = turn == source::outcomes ? source::events : turn == source::events ? source::posts : source::outcomes;
        return turn;
    }

    // Calls one handler of a source. Returns false if there is none.
    template <class Mailbox, class Complete>
    bool dispatch_from(source turn, const arrivals::dispatching& here, Mailbox& mailbox, Complete complete) {
        if (turn == source::posts) mailbox.collect();
        if (turn == source::outcomes ? outcomes_.empty()
            : turn == source::events ? here.events().empty()
                                     : !mailbox.has_collected())
            return false;
        if (turn == source::outcomes)
            dispatch_outcome(complete);
        else if (turn == source::events)
            dispatch_event(here, complete);
        else
            dispatch_post(mailbox);
        return true;
    }

    template <class Complete> void dispatch_outcome(Complete complete) {
        ++accounted_;
        operation_core& operation = outcomes_.pop();
        complete(operation, operation.take_outcome());
    }
    template <class Complete> static void dispatch_event(const arrivals::dispatching& here, Complete complete) {
        const io_event& event = here.events().pop();
        complete(operation_core::of(event), event.res);
    }
    template <class Mailbox> void dispatch_post(Mailbox& mailbox) {
        ++accounted_;
        mailbox.call_first();
    }

    // What completes without the kernel meanwhile, because a handler cancels it, waits for the next call.
    template <class Complete> void dispatch_outcomes(const arrivals::dispatching& here, Complete complete) {
        turn_after_exception next{turn_, source::events};
        for (std::size_t left = outcomes_.size(); left != 0 && !outcomes_.empty(); --left) {
            dispatch_outcome(complete);
            here.loop_stays();
        }
        next.dismiss();
    }
    template <class Complete> void dispatch_events(const arrivals::dispatching& here, Complete complete) {
        turn_after_exception next{turn_, source::posts};
        while (!here.events().empty()) dispatch_event(here, complete);
        here.loop_stays();
        next.dismiss();
    }
    template <class Mailbox> void dispatch_posts(const arrivals::dispatching& here, Mailbox& mailbox) {
        for (mailbox.collect(); mailbox.has_collected(); here.loop_stays()) dispatch_post(mailbox);
    }
    template <class Mailbox, class Complete>
    [[gnu::__cold__, gnu::__noinline__]] void dispatch_rest(const arrivals::dispatching& here, Mailbox& mailbox,
                                                            Complete complete) {
        if (turn_ == source::events) dispatch_events(here, complete);
        turn_ = source::outcomes;
        dispatch_posts(here, mailbox);
    }

    // Stores `next` in `turn` unless it is dismissed first.
    struct turn_after_exception {
        source& turn;
        source next;
        bool due = true;

        void dismiss() noexcept { due = false; }
        ~turn_after_exception() {
            if (due) turn = next;
        }
    };

    owned<arrivals*, nullptr, arrivals::dispose> arrivals_{};
    operation_list outcomes_{};
    std::size_t accounted_ = 0;      // events added, ever, and outcomes and posts whose handlers were called
    source turn_ = source::outcomes; // which source is next
};

} // namespace kaio::detail
