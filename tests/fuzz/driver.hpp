// Turns bytes into operations on a loop: good and bad requests, timers, posts, coroutines, waits and destruction. Its
// handlers submit, poll, run, cancel, free their buffers and throw. A plain model tells which results are possible. Any
// other result ends the program.
#pragma once

#include <array>
#include <bitset>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <poll.h>

#include <kaio/kaio.hpp>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                             \
            std::abort();                                                                                              \
        }                                                                                                              \
    } while (false)

namespace fuzz {

inline constexpr std::size_t slots = 8, slot_size = 512; // of the file

using versions = std::bitset<256>;

// Machine is the kernel and what is open on it:
//     using kernel;  kernel make_kernel();  int file();  int event();  void set_event();  void clear_event();
//     static constexpr unsigned one_restart_in;  // 1 to 8: how rarely the loop is made again
//     bool faults(std::uint8_t);  // sets faults from a byte; returns true if requests may fail from now on
//     bool crash();               // true: it crashed, the loop is dead and the file is zeros again
template <class Machine> class driver {
    using loop_type = kaio::basic_loop<typename Machine::kernel>;

public:
    driver(Machine& machine, std::optional<loop_type>& loop) : machine_(machine), loop_(loop) {
        for (versions& each : possible_) each.set(0);
        for (std::size_t i = 0; i < owned_.size(); ++i)
            owned_[i] = std::make_unique<kaio::owned_operation<owned_handler>>(owned_handler{this, i});
    }

    // Before and afterwards the loop is idle. Before, the file is slots * slot_size zeros.
    void run(const std::uint8_t* data, std::size_t size) {
        input_ = data;
        left_ = size;
        while (left_ > 0 && requests_.size() < most_requests) guarded([this] { step(next()); });
        left_ = 0; // from here on handlers do nothing else
        machine_.set_event();
        for (int tries = 0; unfinished(); ++tries) {
            MUST(tries < 1000);
            guarded([this] { (void)loop_->try_run(); });
        }
    }

private:
    static constexpr std::size_t most_requests = 2000;
    static constexpr std::uint8_t never = 255; // a version that no write writes
    static constexpr unsigned capacity = 4;

    struct pending {
        enum { read, write, poll, other } kind;
        std::size_t slot;
        std::uint8_t version;          // that a write writes
        int error;                     // that it must complete with; 0: none
        versions allowed;              // that a read may return
        std::vector<std::byte> buffer; // freed when the request is complete
        std::array<iovec, 2> vector;
        bool whole;    // submitted as fully()
        bool may_fail; // faults are or were on
        bool left;     // its loop is being destroyed, or it was cancelled, so ECANCELED is possible
        int times;     // how often it completed
    };

    struct handler {
        driver* all;
        std::size_t request;
        void operator()(kaio::io_result r) const { all->complete(request, r); }
        void operator()(kaio::transfer_result r) const {
            int const error = r.error().value();
            all->complete(request, kaio::io_result(error != 0 ? -error : static_cast<std::int64_t>(r.bytes())));
        }
    };
    struct large_handler : handler { // too large for the loop's slab
        std::array<char, 100> more{};
    };
    struct owned_handler {
        driver* all;
        std::size_t operation;
        void operator()(kaio::io_result r) const {
            std::size_t const request = all->owned_request_[operation];
            all->owned_busy_[operation] = false;
            all->complete(request, r);
        }
    };
    struct thrown {};

    std::uint8_t next() noexcept {
        if (left_ == 0) return 0;
        --left_;
        return *input_++;
    }

    // True if something that was submitted or posted has not completed.
    bool unfinished() const {
        bool open = loop_->in_flight() + loop_->queued() + loop_->timers() != 0;
        for (const pending& r : requests_) open = open || r.times == 0;
        for (int const times : posts_) open = open || times == 0;
        return open || coroutines_ != 0;
    }

    // A handler that throws ends the call of the loop, and nothing else.
    template <class Action> void guarded(Action action) {
        try {
            action();
        } catch (thrown) {
        }
    }

    void step(std::uint8_t op) {
        switch (op % 20) {
        default:
            submit();
            break;
        case 8:
            (void)loop_->try_poll();
            break;
        case 9:
            loop_->flush();
            break;
        case 10:
            if (inside_coroutine_) break;
            machine_.set_event(); // otherwise nothing may end the wait
            (void)loop_->try_run_one();
            break;
        case 11:
            (void)loop_->try_run_for(kaio::duration::from_ns(next() * 1000));
            break;
        case 12:
            if (inside_coroutine_) break; // run() would wait for this coroutine
            machine_.set_event();
            (void)loop_->try_run();
            break;
        case 16:
            post();
            break;
        case 17:
            if (std::size_t const i = next() % owned_.size(); owned_busy_[i] && loop_->cancel(*owned_[i]))
                requests_[owned_request_[i]].left = true;
            break;
        case 18:
            loop_->stop();
            break;
        case 19:
            kaio::spawn(*loop_, coroutine(next()));
            break;
        case 13:
            if (next() % 2 == 0)
                machine_.set_event();
            else
                machine_.clear_event();
            break;
        case 14:
            may_fail_ = machine_.faults(next());
            for (pending& r : requests_) r.may_fail = r.may_fail || may_fail_;
            break;
        case 15:
            if (std::uint8_t const how = next(); depth_ == 0 && how / 32 % Machine::one_restart_in == 0) restart(how);
            break;
        }
    }

    void restart(std::uint8_t how) {
        for (pending& r : requests_) r.left = r.times == 0;
        bool const crashed = how % 4 == 0 && machine_.crash();
        destroying_ = true; // an exception in the destructor would end the program
        loop_.reset();
        destroying_ = false;
        for (const pending& r : requests_) MUST(r.times == 1);
        for (int const times : posts_) MUST(times == 1);
        MUST(coroutines_ == 0);
        if (crashed)
            for (versions& each : possible_) each.reset(), each.set(0);
        loop_.emplace(make_loop(machine_, how));
    }

    void post() {
        posts_.push_back(0);
        MUST(loop_->try_post([this, &times = posts_.back()] {
            MUST(++times == 1);
            act();
        }));
    }

    std::size_t add() {
        requests_.push_back({});
        pending& r = requests_.back();
        r.may_fail = may_fail_;
        r.left = destroying_;
        r.buffer.resize(slot_size, std::byte(never));
        return requests_.size() - 1;
    }

    void submit() {
        std::size_t const number = add();
        pending& r = requests_.back();
        std::uint8_t const how = next();
        std::size_t const i = how / 8 % owned_.size();
        bool const owned = how % 8 <= 1 && !owned_busy_[i];
        if (owned) owned_busy_[i] = true, owned_request_[i] = number;
        if (how % 8 == 7 || how % 8 == 0) {
            r.kind = pending::other;
            kaio::timer const timer = kaio::after(kaio::duration::from_ns(next() * 1000));
            owned ? loop_->submit(timer, *owned_[i]) : loop_->submit(timer, handler{this, number});
            return;
        }
        kaio::request const what = make(r, next());
        r.whole = how % 8 == 6 && (r.kind == pending::read || r.kind == pending::write || r.error == EBADF);
        if (r.whole)
            loop_->submit(kaio::fully(what), handler{this, number});
        else if (owned)
            loop_->submit(what, *owned_[i]);
        else if (how % 8 == 2)
            loop_->submit(what, large_handler{{this, number}});
        else
            loop_->submit(what, handler{this, number});
    }

    // A coroutine that awaits several requests, one after the other.
    kaio::task<> coroutine(std::uint8_t how) {
        struct count {
            int& running;
            explicit count(int& n) : running(n) { ++running; }
            ~count() { --running; }
        } const counted(coroutines_);
        for (unsigned i = 0; i <= how % 4u && requests_.size() < most_requests; ++i) {
            std::size_t const number = add();
            kaio::request const what = make(requests_[number], static_cast<std::uint8_t>(how + i * 5));
            kaio::io_result const r = co_await loop_->submit(what);
            // An exception that leaves a spawned task is rethrown later, perhaps in the loop's destructor.
            bool const before = std::exchange(inside_coroutine_, true);
            guarded([&] { complete(number, r); });
            inside_coroutine_ = before;
            if (how & 64) co_await loop_->sleep_for(kaio::duration::from_ns(how));
        }
    }

    kaio::request make(pending& r, std::uint8_t what) {
        r.kind = pending::other;
        r.slot = what / 16 % slots;
        auto const offset = static_cast<std::int64_t>(r.slot * slot_size);
        auto const half = slot_size / 2;
        r.vector = {iovec{r.buffer.data(), half}, iovec{r.buffer.data() + half, half}};
        kaio::iocb block{};
        switch (what % 16) {
        default:
            begin_read(r);
            return what % 2 == 0 ? kaio::read(machine_.file(), r.buffer, offset)
                                 : kaio::readv(machine_.file(), r.vector, offset);
        case 4:
        case 5:
        case 6:
            begin_write(r);
            return kaio::write(machine_.file(), r.buffer, offset);
        case 7:
            begin_write(r);
            return kaio::writev(machine_.file(), r.vector, offset);
        case 8:
            begin_write(r);
            return kaio::write(machine_.file(), r.buffer, offset).flags(kaio::rw_flags::dsync);
        case 9:
            return r.slot % 2 == 0 ? kaio::fsync(machine_.file()) : kaio::fdatasync(machine_.file());
        case 10:
        case 11:
            r.kind = pending::poll;
            return kaio::poll(machine_.event(), POLLIN);
        case 12:
            r.error = EBADF;
            return kaio::read(-1, r.buffer, offset);
        case 13:
            r.error = EOPNOTSUPP;
            return kaio::write(machine_.file(), r.buffer, offset).flags(kaio::rw_flags{1 << 30});
        case 14:
            r.error = EINVAL;
            block.aio_lio_opcode = what / 16 % 2 == 0 ? 6 : 99;
            block.aio_fildes = static_cast<std::uint32_t>(machine_.file());
            return kaio::request(block);
        case 15:
            r.error = EINVAL;
            return kaio::read(machine_.file(), r.buffer, -1 - offset);
        }
    }

    void begin_read(pending& r) {
        r.kind = pending::read;
        r.allowed = possible_[r.slot];
    }

    void begin_write(pending& r) {
        r.kind = pending::write;
        last_version_ = static_cast<std::uint8_t>(last_version_ % (never - 1) + 1);
        r.version = last_version_;
        for (std::byte& b : r.buffer) b = std::byte(r.version);
        possible_[r.slot].set(r.version);
        if (writing_[r.slot]++ == 0)
            alone_[r.slot] = true;
        else
            alone_[r.slot] = false;
        for (pending& other : requests_)
            if (other.kind == pending::read && other.times == 0 && other.slot == r.slot) other.allowed.set(r.version);
    }

    void complete(std::size_t number, kaio::io_result result) {
        pending& r = requests_[number];
        MUST(++r.times == 1);
        check(r, result);
        r.buffer = {};
        act();
    }

    // What a handler does after it has checked its result.
    void act() {
        if (left_ == 0 || depth_ == 3) return;
        ++depth_;
        struct leave {
            int& depth;
            ~leave() { --depth; }
        } const leaving{depth_};
        std::uint8_t const what = next();
        if (what % 4 == 3 && requests_.size() < most_requests) step(what / 4);
        if (what % 32 == 1 && !destroying_) throw thrown{};
    }

    void check(pending& r, kaio::io_result result) {
        int const error = result.error().value();
        if (r.kind == pending::write) {
            // A whole write that no other write overlapped replaces everything that was there before.
            if (--writing_[r.slot] == 0 && alone_[r.slot] && result.bytes() == slot_size)
                possible_[r.slot].reset(), possible_[r.slot].set(r.version);
        }
        if (error == ECANCELED) {
            MUST(r.left);
            return;
        }
        if (r.error != 0) {
            MUST(error == r.error || ((r.may_fail || r.left) && error != 0));
            return;
        }
        if (error != 0) {
            MUST(r.may_fail || r.left);
            return;
        }
        if (r.kind == pending::poll || r.kind == pending::other) {
            MUST(result.res() == (r.kind == pending::poll ? POLLIN : 0));
            return;
        }
        MUST(result.bytes() == slot_size || (r.may_fail && !r.whole && result.bytes() < slot_size));
        if (r.kind == pending::read)
            for (std::size_t i = 0; i < result.bytes(); ++i) MUST(r.allowed[std::to_integer<std::size_t>(r.buffer[i])]);
    }

public:
    static loop_type make_loop(Machine& machine, std::uint8_t how) {
        kaio::loop_options options{.spin_limit = how & 16 ? kaio::duration::from_ns(2000) : kaio::duration::zero()};
        options.setup.events = how & 8 ? kaio::reaping::syscall : kaio::reaping::ring;
        return std::move(loop_type::try_make(capacity, options, machine.make_kernel())).value("fuzz: no loop");
    }

private:
    Machine& machine_;
    std::optional<loop_type>& loop_;
    const std::uint8_t* input_ = nullptr;
    std::size_t left_ = 0;
    int depth_ = 0;      // of nested handlers
    int coroutines_ = 0; // coroutines that have not ended
    bool inside_coroutine_ = false;
    bool destroying_ = false, may_fail_ = false;
    std::deque<pending> requests_;
    std::deque<int> posts_;                // how often each post was called
    std::array<versions, slots> possible_; // that each slot may hold
    std::array<int, slots> writing_{};     // writes in flight on each slot
    std::array<bool, slots> alone_{};      // no two of these overlapped
    std::uint8_t last_version_ = 0;
    std::array<std::unique_ptr<kaio::owned_operation<owned_handler>>, 3> owned_;
    std::array<bool, 3> owned_busy_{};
    std::array<std::size_t, 3> owned_request_{};
};

} // namespace fuzz
