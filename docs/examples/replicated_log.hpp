// replicated_log: a log on several disks, mounts or devices at once. A record that it has acknowledged is on a majority
// of them, so it is not lost with any one of three, or any two of five. A copy that fails is tried again. One that
// hangs holds nobody up, for as long as it likes. When it is back, it gets what it has missed, and then counts again.
//
//     replicated_log<kaio::loop> log(home, id, {{one.loop(), file1}, {two.loop(), file2}, {three.loop(), file3}});
//     std::error_code error = co_await log.recover(visit); // calls visit(record) for each, oldest first
//     error = co_await log.append(record);                 // no error: a majority has it on its disk
//
// io_submit itself may hang (a frozen file system, a server that is silent). So each copy has a loop with a thread of
// its own, and only `home` is the log's thread. tests/sim/replicated_log.cpp uses one simulated loop for all, and
// breaks the disks in every way that it knows. docs/distributed.md says what such a program must do, and why.
//
// It does not keep a second writer away. That is for a lock that both respect, and the first must be gone with all that
// it had in flight: what a server still has of its writes may come late.
#pragma once

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <kaio/coro/event.hpp>
#include <kaio/coro/with_timeout.hpp>
#include <kaio/kaio.hpp>
#include <kaio/loop/posted_request.hpp>

// The file of each copy:
//
//     promise  promise  group  group  group ...     each of them in blocks of its own
//
// Records that come while a group is being written become the next group. The checksum of a group starts from that of
// the group before. So it names all of the log up to here, and equal checksums mean equal logs.
//
// Each recovery begins an epoch, and all that follows has its number. First it has a majority promise that: no later
// recovery takes the number again, because it reads a majority too, and so meets one that has promised. Then, of the
// copies that it has read, the one with the last epoch is right, and of several with that epoch the longest. It has
// every record that was acknowledged. The epoch's first group has no records. Once a majority has that, and with it
// all before, it is decided what the log is. (Raft's rules for a new leader, with disks that can't vote.)
//
// What is written again over the same bytes is safe if power loss leaves each sector as it was or as it was to be.
//
// `most`: bytes of a group, and of a write, at most. So much of the log's end stays in memory, for slow copies.
template <class Loop, std::size_t most = 1 << 20> class replicated_log {
public:
    static constexpr std::size_t block = 4096;

    struct copy {
        Loop& loop; // that nobody else's requests wait in
        kaio::descriptor file;
    };
    struct limits {
        kaio::duration answer = std::chrono::seconds(5);       // for a majority to sync, or one copy to read
        kaio::duration recovery = std::chrono::seconds(60);    // for a majority to be read as a whole
        kaio::duration retry = std::chrono::milliseconds(100); // after an error of a copy, before it is tried again
    };

    // `id` tells the copies of one log from those of others. The log is destroyed before its loops.
    replicated_log(Loop& home, std::uint64_t id, const std::vector<copy>& copies, limits allowed = {})
        : state_(std::make_shared<state>(home, id, copies, allowed)) {}
    replicated_log(const replicated_log&) = delete;
    replicated_log& operator=(const replicated_log&) = delete;
    // Does not wait. What hangs keeps its memory until it completes. What waits here has ECANCELED.
    ~replicated_log() { state_->close(); }

    // Finds out what the log is, has a majority agree, and calls visit(std::span<const std::byte>) for each record,
    // oldest first. What it has once visited stays, acknowledged or not. Call it once, before any append. A log is new
    // if all of its copies are there and are blank.
    // Errors: ETIMEDOUT if there is no majority in time, EIO if nobody can read a group. Then make a new log object.
    template <class Visit> kaio::task<std::error_code> recover(Visit visit) {
        return state::recover(state_, std::move(visit));
    }

    // Copies the record when it is awaited. Returns no error when it is on a majority of the disks.
    // Errors: ETIMEDOUT if no majority was in time: it may be there later, or not. EAGAIN if too many records wait for
    // a majority, and EMSGSIZE: it is not there. ECANCELED: the log was destroyed, and it may be there.
    kaio::task<std::error_code> append(std::span<const std::byte> record) { return state::append(state_, record); }

    // How many groups this copy lacks, or SIZE_MAX if it has not been read. 0: it counts.
    std::size_t behind(std::size_t which) const noexcept { return state_->behind(state_->replicas[which]); }

private:
    using bytes = std::vector<std::byte, kaio::aligned_allocator<std::byte, block>>;

    // A buffer that several requests write from. Each of them owns it, and the last one frees it.
    class shared_bytes {
    public:
        shared_bytes() = default;
        explicit shared_bytes(bytes content) : content_(std::make_shared<const bytes>(std::move(content))) {}
        const std::byte* data() const noexcept { return content_->data(); }
        std::size_t size() const noexcept { return content_ ? content_->size() : 0; }

    private:
        std::shared_ptr<const bytes> content_;
    };

    struct promise {
        std::uint64_t checksum; // of the rest
        std::uint64_t id;
        std::uint64_t epoch;
    };
    struct header {
        std::uint64_t checksum; // of the group before and of the rest of this one
        std::uint64_t epoch;
        std::uint64_t bytes; // of all records, each behind its size (four bytes)
    };

    // Where a group begins, and the checksum of the group before it.
    struct mark {
        std::uint64_t position, chain;
        friend bool operator==(const mark&, const mark&) = default;
    };

    struct read_bytes {
        std::error_code error;
        bytes content;
    };

    struct replica {
        explicit replica(const copy& where) : loop(where.loop), file(where.file) {}

        Loop& loop;
        kaio::descriptor file;
        bool answered = false;
        std::uint64_t promised = 0; // an epoch; 0: it is blank, and what it lacks may be because its disk was replaced
        std::int64_t slot = 0;      // where its next promise goes: over the older of the two

        // What was read. Empty again when its fate is decided.
        std::vector<mark> marks{}; // of all groups, and of the end
        std::deque<shared_bytes> tail{};
        std::uint64_t epoch = 0; // of the last group

        std::size_t synced = 0; // so many groups are on its disk for certain, and are the log's
        bool silent = false;    // it was asked for groups, and a wait was given up
        kaio::event work{};     // there may be something to write
    };

    struct loan { // of groups, for another copy
        kaio::event done{};
        shared_bytes groups{};
    };

    struct pending {
        bytes group;
        std::shared_ptr<kaio::event> done;
    };

    // What is in flight has a share in this, so it outlives the log if something hangs.
    struct state : std::enable_shared_from_this<state> {
        state(Loop& loop, std::uint64_t log_id, const std::vector<copy>& copies, limits allowed)
            : home(loop), id(log_id), limit(allowed) {
            for (const copy& each : copies) replicas.emplace_back(each);
        }

        Loop& home;
        std::uint64_t id;
        limits limit;
        std::deque<replica> replicas{};
        bool closing = false;

        // Of recovery.
        kaio::event enough{}; // copies have answered
        kaio::event all_answered{}, chosen{}, promised{};
        bool blanks_count = false; // the log is new

        // The log. Group i is from index[i] to index[i + 1]: 16 bytes of memory for each.
        std::uint64_t epoch = 0;
        std::vector<mark> index{};
        std::deque<shared_bytes> recent{};        // the last groups
        std::size_t committed = 0;                // so many groups are on a majority
        std::shared_ptr<kaio::event> in_flight{}; // set when the last group is; null if nobody waits for that
        std::deque<pending> waiting{};            // groups that come after it

        std::size_t majority() const noexcept { return replicas.size() / 2 + 1; }
        std::size_t groups() const noexcept { return index.empty() ? 0 : index.size() - 1; }
        std::size_t first_recent() const noexcept { return groups() - recent.size(); }
        bool counts(const replica& r) const noexcept { return epoch != 0 && r.promised >= epoch; }
        std::size_t behind(const replica& r) const noexcept {
            return chosen.is_set() && r.answered && counts(r) ? groups() - r.synced : SIZE_MAX;
        }

        void close() {
            closing = true;
            auto const unsent = std::exchange(waiting, {});
            for (kaio::event* each : {&enough, &all_answered, &chosen, &promised}) each->set();
            for (replica& each : replicas) each.work.set();
            if (in_flight) in_flight->set();
            for (const pending& each : unsent) each.done->set();
        }

        // The disk ------------------------------------------------------------------------------------------------

        // The copy's own thread submits it, and it comes back to this one.
        kaio::task<std::error_code> write(replica& r, shared_bytes what, std::uint64_t position) {
            std::size_t const size = what.size();
            auto request = kaio::write(r.file, std::move(what), position).flags(kaio::rw_flags::dsync);
            auto const done = co_await r.loop.post(kaio::fully(std::move(request)), home);
            if (!done.first) co_return done.first.error();
            co_return done.first.bytes() == size ? std::error_code() : std::make_error_code(std::errc::io_error);
        }
        // Fewer bytes at the end of the file.
        kaio::task<read_bytes> read(replica& r, std::uint64_t position, std::size_t size) {
            auto request = kaio::fully(kaio::read(r.file, bytes(size), position));
            auto done = co_await r.loop.post(std::move(request), home);
            done.second.resize(done.first.bytes());
            co_return read_bytes{done.first.error(), std::move(done.second)};
        }

        // One group, or nothing where the log ends.
        kaio::task<read_bytes> read_group(replica& r, mark at) {
            read_bytes group = co_await read(r, at.position, block);
            if (group.error) co_return group;
            header const h = front<header>(group.content);
            std::size_t const size = size_of(h);
            if (size == 0) co_return read_bytes{};
            if (size > block) {
                read_bytes const rest = co_await read(r, at.position + block, size - block);
                if (rest.error) co_return read_bytes{rest.error, {}};
                group.content.resize(block);
                group.content.insert(group.content.end(), rest.content.begin(), rest.content.end());
            }
            group.content.resize(size); // the filling may be behind the end of the file
            if (h.checksum != checksum(at.chain, group.content)) co_return read_bytes{};
            co_return group;
        }

        // A copy --------------------------------------------------------------------------------------------------

        // All that is done with one of them, one request after the other. A copy that hangs hangs here.
        static kaio::task<> serve(std::shared_ptr<state> self, replica& r) { co_await self->serve(r); }
        kaio::task<> serve(replica& r) {
            bool goes_on = co_await insist([&] { return look(r); });
            if (!goes_on) co_return;
            r.answered = true;
            answer();
            co_await chosen;
            if (closing) co_return;
            align(r);
            // A blank copy is repaired before it says that it is one of the log's.
            bool may_promise = r.promised != 0 || blanks_count;
            while (goes_on) {
                if (may_promise && !counts(r)) {
                    goes_on = co_await insist([&] { return make_promise(r); });
                } else if (r.synced < groups()) {
                    goes_on = co_await insist([&] { return write_more(r); });
                } else if (!may_promise) {
                    may_promise = true;
                } else {
                    co_await r.work;
                    r.work.reset();
                    goes_on = !closing;
                }
            }
        }

        // Tries it until it works. False: the log was destroyed.
        template <class Attempt> kaio::task<bool> insist(Attempt attempt) {
            while (!closing) {
                std::error_code const error = co_await attempt();
                if (closing) break;
                if (!error) co_return true;
                (void)co_await home.sleep_for(limit.retry);
            }
            co_return false;
        }

        // Reads all of a copy.
        kaio::task<std::error_code> look(replica& r) {
            r.promised = 0;
            for (std::int64_t slot = 0; slot < 2; ++slot) {
                read_bytes const found = co_await read(r, static_cast<std::uint64_t>(slot) * block, block);
                if (found.error) co_return found.error;
                promise const p = front<promise>(found.content);
                if (p.checksum != checksum(p)) continue;
                if (p.id != id) co_return std::make_error_code(std::errc::invalid_argument); // of another log
                if (p.epoch < r.promised) continue;
                r.promised = p.epoch;
                r.slot = 1 - slot;
            }
            r.marks.assign(1, mark{2 * block, id});
            r.tail.clear();
            for (;;) {
                read_bytes found = co_await read_group(r, r.marks.back());
                if (found.error) co_return found.error;
                if (found.content.empty()) co_return std::error_code();
                header const h = front<header>(found.content);
                r.epoch = h.epoch;
                r.marks.push_back({r.marks.back().position + found.content.size(), h.checksum});
                r.tail.push_back(shared_bytes(std::move(found.content)));
                shorten(r.tail, r.marks, r.marks.size());
            }
        }

        // What the copy has in common with the log stays, but for its last write. That may be of a process that has had
        // an error for it. Then reads show what is not on the disk. So it is written again, which changes nothing.
        void align(replica& r) {
            std::size_t const both = std::min(r.marks.size(), index.size());
            while (r.synced + 1 < both && r.marks[r.synced + 1] == index[r.synced + 1]) ++r.synced;
            while (r.synced != 0 && r.marks.back().position - r.marks[r.synced - 1].position <= most) --r.synced;
            r.marks = {};
            r.tail = {};
        }

        kaio::task<std::error_code> make_promise(replica& r) {
            promise p{0, id, epoch};
            p.checksum = checksum(p);
            bytes content(block);
            std::memcpy(content.data(), &p, sizeof p);
            auto const error =
                co_await write(r, shared_bytes(std::move(content)), static_cast<std::uint64_t>(r.slot) * block);
            if (error) co_return error;
            r.promised = epoch;
            r.slot = 1 - r.slot;
            count();
            co_return error;
        }

        // One write of what the copy lacks.
        kaio::task<std::error_code> write_more(replica& r) {
            std::size_t const first = r.synced;
            std::size_t last = first + 1;
            shared_bytes what;
            if (first >= first_recent()) {
                what = recent[first - first_recent()];
            } else {
                while (last < first_recent() && index[last + 1].position - index[first].position <= most) ++last;
                what = co_await borrow(first, last);
                if (what.size() == 0) co_return std::make_error_code(std::errc::io_error);
            }
            auto const error = co_await write(r, std::move(what), index[first].position);
            if (error) co_return error; // and with the next try all of it is written again, not only synced
            r.synced = last;
            count();
            co_return error;
        }

        // The groups from `first` on, before `last`, from any copy that has them and answers in time; or nothing.
        kaio::task<shared_bytes> borrow(std::size_t first, std::size_t last) {
            for (replica& from : replicas) {
                if (from.synced < last || from.silent || closing) continue;
                auto const asked = std::make_shared<loan>();
                kaio::spawn(home, lend(this->shared_from_this(), from, first, last, asked));
                bool const answered = co_await kaio::with_timeout(home, asked->done, limit.answer);
                from.silent = !answered;
                if (asked->groups.size() != 0) co_return asked->groups;
            }
            co_return shared_bytes();
        }
        static kaio::task<> lend(std::shared_ptr<state> self, replica& from, std::size_t first, std::size_t last,
                                 std::shared_ptr<loan> asked) {
            auto const size = static_cast<std::size_t>(self->index[last].position - self->index[first].position);
            read_bytes found = co_await self->read(from, self->index[first].position, size);
            if (!found.error && self->are_whole(found.content, first, last))
                asked->groups = shared_bytes(std::move(found.content));
            from.silent = false;
            asked->done.set();
        }
        bool are_whole(std::span<const std::byte> content, std::size_t first, std::size_t last) const {
            for (; first != last; ++first) {
                auto const size = static_cast<std::size_t>(index[first + 1].position - index[first].position);
                if (content.size() < size) return false;
                auto const group = content.first(size);
                if (size_of(front<header>(group)) != size) return false;
                if (checksum(index[first].chain, group) != index[first + 1].chain) return false;
                content = content.subspan(size);
            }
            return true;
        }

        // All copies together -------------------------------------------------------------------------------------

        // A copy has answered. One that is blank says nothing about the log, unless all are here.
        void answer() {
            auto const all = std::ranges::count_if(replicas, &replica::answered);
            auto const known = std::ranges::count_if(replicas, [](auto& r) { return r.answered && r.promised != 0; });
            bool const complete = static_cast<std::size_t>(all) == replicas.size();
            if (complete || static_cast<std::size_t>(known) >= majority()) enough.set();
            if (complete) all_answered.set();
        }

        // A copy has promised, or has more groups.
        void count() {
            std::vector<std::size_t> synced;
            for (const replica& each : replicas)
                if (counts(each)) synced.push_back(each.synced);
            if (synced.size() < majority()) return;
            promised.set();
            std::ranges::sort(synced, std::greater());
            if (synced[majority() - 1] <= committed) return;
            committed = synced[majority() - 1];
            shorten(recent, index, committed);
            if (committed != groups() || !in_flight) return;
            std::exchange(in_flight, nullptr)->set();
            if (!in_flight) write_waiting();
        }

        void write_waiting() {
            if (closing || waiting.empty()) return;
            pending next = std::move(waiting.front());
            waiting.pop_front();
            begin(std::move(next.group), std::move(next.done));
        }
        void begin(bytes group, std::shared_ptr<kaio::event> done) {
            header h{0, epoch, group.size() - sizeof h};
            std::memcpy(group.data(), &h, sizeof h);
            group.resize(size_of(h));
            h.checksum = checksum(index.back().chain, group);
            std::memcpy(group.data(), &h, sizeof h);
            index.push_back({index.back().position + group.size(), h.checksum});
            recent.push_back(shared_bytes(std::move(group)));
            in_flight = std::move(done);
            for (replica& each : replicas) each.work.set();
        }

        static kaio::task<std::error_code> append(std::shared_ptr<state> self, std::span<const std::byte> record) {
            state& s = *self;
            assert(s.epoch != 0 && "an append before the recovery");
            if (s.closing) co_return std::make_error_code(std::errc::operation_canceled);
            if (record.size() > most - sizeof(header) - sizeof(std::uint32_t))
                co_return std::make_error_code(std::errc::message_size);
            auto const size = static_cast<std::uint32_t>(record.size());
            if (s.waiting.empty() || s.waiting.back().group.size() + sizeof size + size > most) {
                if (s.waiting.size() == most_waiting)
                    co_return std::make_error_code(std::errc::resource_unavailable_try_again);
                s.waiting.push_back({bytes(sizeof(header)), std::make_shared<kaio::event>()});
            }
            bytes& group = s.waiting.back().group;
            auto const* const size_bytes = reinterpret_cast<const std::byte*>(&size);
            group.insert(group.end(), size_bytes, size_bytes + sizeof size);
            group.insert(group.end(), record.begin(), record.end());
            auto const done = s.waiting.back().done;
            if (!s.in_flight) s.write_waiting();
            bool const in_time = co_await kaio::with_timeout(s.home, *done, s.limit.answer);
            if (!in_time) co_return std::make_error_code(std::errc::timed_out);
            if (s.closing) co_return std::make_error_code(std::errc::operation_canceled);
            co_return std::error_code();
        }

        template <class Visit> static kaio::task<std::error_code> recover(std::shared_ptr<state> self, Visit visit) {
            state& s = *self;
            auto const too_late = std::make_error_code(std::errc::timed_out);
            for (replica& each : s.replicas) kaio::spawn(s.home, serve(self, each));
            bool in_time = co_await kaio::with_timeout(s.home, s.enough, s.limit.recovery);
            if (!in_time) co_return too_late;
            (void)co_await kaio::with_timeout(s.home, s.all_answered, s.limit.answer); // better, but not needed
            if (s.closing) co_return std::make_error_code(std::errc::operation_canceled);

            s.choose();
            in_time = co_await kaio::with_timeout(s.home, s.promised, s.limit.recovery);
            if (!in_time) co_return too_late;
            std::size_t const old = s.groups();
            auto const decided = std::make_shared<kaio::event>();
            s.begin(bytes(sizeof(header)), decided);
            in_time = co_await kaio::with_timeout(s.home, *decided, s.limit.recovery);
            if (!in_time) co_return too_late;

            for (std::size_t i = 0; i != old && !s.closing; ++i) {
                shared_bytes group = co_await s.find(i);
                for (int tries = 10; group.size() == 0; --tries) {
                    if (tries == 0) co_return std::make_error_code(std::errc::io_error);
                    (void)co_await s.home.sleep_for(s.limit.retry);
                    group = co_await s.find(i);
                }
                header const h = front<header>(std::span(group.data(), group.size()));
                for (std::size_t at = sizeof h; at < sizeof h + h.bytes;) {
                    std::uint32_t size;
                    std::memcpy(&size, group.data() + at, sizeof size);
                    visit(std::span(group.data() + at + sizeof size, size));
                    at += sizeof size + size;
                }
            }
            if (s.closing) co_return std::make_error_code(std::errc::operation_canceled);
            co_return std::error_code();
        }
        // A group, from memory or from a copy; or nothing.
        kaio::task<shared_bytes> find(std::size_t number) {
            if (number >= first_recent()) co_return recent[number - first_recent()];
            co_return co_await borrow(number, number + 1);
        }

        // What the log is, and what its new epoch is.
        void choose() {
            replica* best = nullptr;
            std::size_t known = 0;
            for (replica& each : replicas) {
                if (!each.answered) continue;
                known += each.promised != 0;
                epoch = std::max({epoch, each.promised, each.epoch});
                if (!best || std::pair(each.epoch, each.marks.size()) > std::pair(best->epoch, best->marks.size()))
                    best = &each;
            }
            ++epoch;
            blanks_count = known < majority();
            index = best->marks;
            recent = best->tail;
            chosen.set();
        }
    };

    static constexpr std::size_t most_waiting = 8; // groups

    // Drops groups from the front of the last ones, before number `end`, but keeps those of the last `most` bytes.
    static void shorten(std::deque<shared_bytes>& last, const std::vector<mark>& marks, std::size_t end) {
        std::size_t first = marks.size() - 1 - last.size();
        for (; first < end && !last.empty() &&
               marks.back().position - marks[first].position - last.front().size() >= most;
             ++first)
            last.pop_front();
    }

    // 0: this is no group.
    static std::size_t size_of(const header& h) noexcept {
        if (h.epoch == 0 || h.bytes > most - sizeof h) return 0;
        return static_cast<std::size_t>((sizeof h + h.bytes + block - 1) / block * block);
    }

    // The first bytes as a T; what is not there reads as zeros.
    template <class T> static T front(std::span<const std::byte> content) noexcept {
        T value{};
        std::memcpy(&value, content.data(), std::min(sizeof value, content.size()));
        return value;
    }

    // FNV-1a. A log for real use would take a hash that is faster, and of more bits: it names a history.
    static std::uint64_t checksum(std::uint64_t sum, std::span<const std::byte> content) noexcept {
        sum ^= 0xcbf29ce484222325;
        auto const add = [&](std::span<const std::byte> part) {
            for (std::byte const each : part) sum = (sum ^ std::to_integer<std::uint64_t>(each)) * 0x100000001b3;
        };
        add(content.subspan(sizeof sum)); // behind the checksum itself
        return sum;
    }
    static std::uint64_t checksum(const promise& p) noexcept { return checksum(0, std::as_bytes(std::span(&p, 1))); }

    std::shared_ptr<state> state_;
};
