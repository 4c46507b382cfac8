"""The mutants: each breaks one promise of one header. `before` stands there exactly once."""

from typing import NamedTuple


class Mutant(NamedTuple):
    header: str  # under include/kaio
    promise: str  # that is broken
    before: str
    after: str
    tests: tuple  # the programs that must notice
    threads: bool = False  # noticed by ThreadSanitizer only


MUTANTS = []


def breaks(header, tests, promise, before, after, threads=False):
    MUTANTS.append(Mutant(header, promise, before, after, tuple(tests.split()), threads))


# The ring.
ring = ("sys/ring.hpp", "sys/ring")
breaks(*ring, "head wraps around at nr", "next >= nr_ ? next - nr_ : next", "next > nr_ ? next - nr_ : next")
breaks(
    *ring,
    "the new head is published",
    "__atomic_store_n(&ring_->head, next >= nr_ ? next - nr_ : next, __ATOMIC_RELEASE);",
    "(void)next;",
)
breaks(*ring, "head moves on by what was copied", "unsigned const next = head + count;", "unsigned const next = head + there;")
breaks(*ring, "no more events than are in flight", "if (there > announced()) return distrust();", "")
breaks(*ring, "indices out of range are not believed", "if (head >= nr_ || tail >= nr_) return distrust();", "")
breaks(*ring, "the magic is looked at", "ring->magic == aio_ring_magic && ", "")
breaks(*ring, "the features are looked at", "ring->incompat_features == 0 && ", "")
breaks(*ring, "events behind the wrap-around follow the others", "std::memcpy(events + first,", "std::memcpy(events,")
breaks(*ring, "the number of slots is a private copy", "unsigned const to_end = nr_ - head;", "unsigned const to_end = ring_->nr - head;")
breaks(
    *ring,
    "the events are read after tail (acquire)",
    "write of tail.\n        unsigned const tail = __atomic_load_n(&ring_->tail, __ATOMIC_ACQUIRE);",
    "write of tail.\n        unsigned const tail = __atomic_load_n(&ring_->tail, __ATOMIC_RELAXED);",
    threads=True,
)
breaks(
    *ring,
    "head is written after the events were read (release)",
    "next >= nr_ ? next - nr_ : next, __ATOMIC_RELEASE);",
    "next >= nr_ ? next - nr_ : next, __ATOMIC_RELAXED);",
    threads=True,
)

# What moves by itself, the process and the kernel.
moving = ("sys/reset_on_move.hpp", "sys/reset_on_move")
breaks(*moving, "moving leaves Empty behind", "value_(std::exchange(other.value_, Empty)) {}", "value_(other.value_) {}")
breaks(*moving, "assigning by moving leaves Empty behind", "T const moved = std::exchange(other.value_, Empty);", "T const moved = other.value_;")
breaks(*moving, "what is replaced is given back", "if (!(old == Empty)) Release{}(old);", "(void)old;")
process = ("sys/process.hpp", "sys/process")
breaks(*process, "a child does not have its parent's mark", "(void)::madvise(page, size, MADV_WIPEONFORK);", "")
kernel = ("sys/kernel.hpp", "sys/kernel")
breaks(*kernel, "an error is a negative errno", "return result < 0 ? -errno : result;", "return result;")
breaks(*kernel, "EPERM for io_pgetevents reads as ENOSYS", "return result == -EPERM ? -ENOSYS : result;", "return result;")
breaks(*kernel, "the signal set has the kernel's size", "sigset_size = 8;", "sigset_size = 128;")
breaks(*kernel, "now() is in nanoseconds", "std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec", "std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000")
breaks("sys/kernel.hpp", "sys/kernel", "a child does not get the ring", "(void)::madvise(memory, size, MADV_DONTFORK);", "(void)memory, (void)size;")
breaks("sys/kernel.hpp", "loop/mailbox", "a waker does not outlive exec", "__NR_pipe2, ends, O_CLOEXEC", "__NR_pipe2, ends, 0")

# Results, durations, views.
result = ("io/result.hpp", "io/result")
breaks(*result, "a failed request transferred 0 bytes", "res_ < 0 ? 0 : static_cast<std::size_t>(res_)", "static_cast<std::size_t>(res_)")
breaks(*result, "error() is an errno", "std::error_code(static_cast<int>(-res_),", "std::error_code(static_cast<int>(res_),")
breaks(*result, "0 bytes are a success", "explicit operator bool() const noexcept { return res_ >= 0; }", "explicit operator bool() const noexcept { return res_ > 0; }")
breaks(*result, "a result destroys its value", "if (error_ == 0) value_.~T();", "")
breaks(*result, "value() of a request that failed throws", "if (res_ < 0) [[unlikely]]\n            detail::throw_error(static_cast<int>(-res_), call);", "")
breaks(*result, "value() of an error throws", "        if (error_ != 0) [[unlikely]]\n            detail::throw_error(error(), std::string(call));", "")
breaks(*result, "an error replaces a value", "        destroy();\n        error_ = error;", "        error_ = error;")
breaks(*result, "a value replaces an error", "T(std::forward<From>(from));\n        error_ = 0;", "T(std::forward<From>(from));")
breaks(*result, "an event names its result", "inline io_result io_event::result() const noexcept { return io_result(res); }", "inline io_result io_event::result() const noexcept { return io_result(res2); }")
durations = ("io/duration.hpp", "io/duration")
breaks(*durations, "a duration is rounded up", "return whole + (static_cast<long double>(whole) < ns);", "return whole;")
breaks(*durations, "a negative duration is 0", "if (!(ns > 0)) return 0;", "")
breaks(*durations, "a long duration is for ever", "if (ns >= 9.2e18L) return unlimited;", "")
breaks("io/view.hpp", "sys/abi", "nobody writes through a view of const", "To (*&target)[]) { target = source; };", "To (*&target)[]) { target; source; };")

breaks("io/view.hpp", "io/view", "the last are the last", "data_ + (size_ - count), count", "data_, count")

# Memory.
buffer = ("io/aligned_buffer.hpp", "io/aligned_buffer")
breaks(*buffer, "storage is rounded up", "(size + alignment - 1) & ~(alignment - 1);", "size & ~(alignment - 1);")
breaks(*buffer, "an alignment is a power of two", "if (!detail::power_of_two(alignment)) return", "if (alignment == 0) return")
breaks(*buffer, "moving leaves no bytes behind", "detail::reset_on_move<std::size_t> size_{};", "detail::reset_on_move<std::size_t, 1> size_{};")
allocator = ("io/aligned_allocator.hpp", "io/aligned_allocator")
breaks(*allocator, "memory is aligned", "alignment{Alignment > alignof(T) ? Alignment : alignof(T)};", "alignment{alignof(T)};")
breaks(*allocator, "a size that overflows is refused", "if (count > static_cast<std::size_t>(-1) / sizeof(T)) {", "if (count == 0) {")
pool = ("io/buffer_pool.hpp", "io/buffer_pool")
header = ("io/detail/pool_header.hpp", "io/buffer_pool")
breaks(*header, "a handle returns its own buffer", "free_count++] = place.index;", "free_count++] = 0;")
breaks(*pool, "buffers are aligned and apart", "stride = detail::round_up(size, alignment);", "stride = size;")
breaks(*pool, "an empty pool gives none", "if (available() == 0) return {};", "if (count() == 0) return {};")
breaks("io/detail/pool_header.hpp", "limits/huge_pages", "huge pages that can't be had are given up", "if ((huge_pages = touch_huge_pages())) return true;", "if ((huge_pages = true)) return true;")
breaks(*header, "a child may destroy a pool whose buffers are out", "pool->process && *pool->process == mark_of_child;", "false;")
memory = ("io/detail/memory_limit.hpp", "io/memory_error")
breaks(*memory, "too many mappings are the cause", "if (there + 4 < most) return false;", "if (most != 0) return false;")
breaks(*memory, "what is locked is the cause", "if (errno != EAGAIN) return false;", "if (errno != ENOMEM) return false;")

# Files and requests.
file = ("io/file.hpp", "io/file")
breaks(*file, "a file is closed", "const noexcept { ::close(fd); }", "const noexcept { (void)fd; }")
breaks(*file, "a file does not outlive exec", "flags | O_CLOEXEC | O_LARGEFILE", "flags | O_LARGEFILE")
breaks(*file, "open goes on after a signal", "while (fd < 0 && errno == EINTR);", "while (false);")
breaks(*file, "an adopted file knows that it is direct", "if (flags < 0) return failure(errno);\n        return file(fd, (flags & O_DIRECT) != 0);", "if (flags < 0) return failure(errno);\n        return file(fd, false);")
breaks("io/file.hpp", "filesystems/direct", "O_DIRECT that is ignored is not direct", "return o_direct_ && support_ != direct_support::unsupported;", "return o_direct_;")
breaks(*file, "a pipe has no direct I/O", "                support_ = direct_support::unsupported; // O_DIRECT makes packets there\n", "")
breaks(*file, "close says what the file system says", "if (fd >= 0 && ::close(fd) != 0) return", "if (fd >= 0 && ::close(fd) > 0) return")
breaks(*file, "a device has a size", "S_ISBLK(status.st_mode) && ", "false && ")
request = ("io/request.hpp", "io/request")
breaks(*request, "a length is in bytes", "std::size(buffer) * sizeof(element_of<Buffer>);", "std::size(buffer);")
breaks(*request, "fdatasync is not fsync", "opcode::fdsync, file,", "opcode::fsync, file,")
breaks(*request, "notify sets its flag", "changed.block_.aio_flags |= iocb_flag_resfd;", "")
breaks(*request, "one modifier keeps the others", "changed.block_.aio_flags |= iocb_flag_ioprio;", "changed.block_.aio_flags = iocb_flag_ioprio;")
breaks(*request, "an offset must be aligned too", "(size | static_cast<std::uint64_t>(offset)) & (offset_ - 1)", "size & (offset_ - 1)")

# The context.
context = ("io/context.hpp", "io/context")
breaks("io/context.hpp", "seccomp/untrusted_ring", "what was refused can give no event", "add(announced_, accepted - count);", "")
breaks(*context, "what is being submitted is not in flight", "return load(announced_) - reaped();", "return load(accepted_) - reaped();")
breaks(*context, "a refusal says why", "return {0, taken == 0 ? EAGAIN : static_cast<int>(-taken)};", "return {0, EAGAIN};")
breaks(*context, "what is behind a part is submitted", "return submit_rest(batch, answer.accepted());", "return answer;")
breaks(*context, "a part is accepted", "        add(accepted_, accepted);\n", "")
breaks(*context, "a batch's parts are all counted", "            accepted += answer.accepted();", "            accepted = answer.accepted();")
breaks(*context, "nobody waits for more than is in flight", "min > due) min = due;", "min > due) (void)due;")
breaks(*context, "events of the call follow those of the ring", "get_events(events.subspan(taken),", "get_events(events.first(events.size() - taken),")
breaks(*context, "events of the call are counted", "if (count > 0) count_taken(events.data(), static_cast<unsigned>(count));", "")
breaks(*context, "destroying gives the context back", "            policy.io_destroy(id);\n", "")
breaks(*context, "destroying gives the mark back", "            policy.unmark_process(process);\n        }", "        }")
breaks(*context, "a child can't use its parent's context", "return __atomic_load_n(process.get(), __ATOMIC_RELAXED) == mark_of_process; }", "return process.get() != &mark_of_nobody; }")
breaks(*context, "making do has a floor", "capacity / 2 > options.at_least ? capacity / 2 : options.at_least;", "capacity / 2;")
breaks(*context, "a cancelled poll is a success", "answer == 0 || answer == -EINPROGRESS", "answer == 0")
breaks(*context, "the limit of a wait is kept", "limit.ns() % 1'000'000'000};", "0};")

# The simulated kernel.
simulated = ("sim/kernel.hpp", "sim/world")
breaks(*simulated, "time passes when somebody looks", "void look() const noexcept { world_->look(); }", "void look() const noexcept {}")
breaks(*simulated, "time passes between two looks", "void relax() const noexcept { world_->relax(); }", "void relax() const noexcept {}")

# The loop's parts.
queue = ("loop/request_queue.hpp", "loop/submitting")
breaks(*queue, "the kernel never has more than the capacity", "        batch_limit_ -= count;\n        batch_end_ = batch_;", "        batch_end_ = batch_;")
breaks(*queue, "a refusal is the request's result", "end(of(batch_[done]), -answer.error_number(), ended);", "end(of(batch_[done]), 0, ended);")
breaks(*queue, "the room of a refused request is given back", "for (; refused != 0; --refused) release_room();", "")
breaks(*queue, "those behind a refused request are kept", "__builtin_memmove(batch_, batch_ + done, (count - done) * sizeof(iocb*));", "")
breaks(*queue, "a full kernel is asked again when something has completed", "        kernel_full_ = false;\n        refusals_ = 0;", "        refusals_ = 0;")
breaks(*queue, "a full kernel is not asked again before", "batch_end_ != batch_ && !(kernel_full_ && to.in_flight() != 0);", "batch_end_ != batch_;")
breaks(*queue, "EAGAIN for ever ends", "++refusals_ < patience", "refusals_ < patience")
breaks(*queue, "the room of a completed request goes to one that waits", "            to_batch(waiting_.pop());", "            (void)waiting_.pop();")
breaks("loop/request_queue.hpp", "loop/mailbox", "a cancelled poll completes with ECANCELED", "if (event.res == 0) event.res = -ECANCELED;", "")
breaks("loop/request_queue.hpp", "loop/notifier", "completions reach the notifier", "block->aio_flags |= iocb_flag_resfd;", "")
breaks("loop/request_queue.hpp", "loop/mailbox", "what was cancelled in the loop is not submitted", "                --batch_end_;\n                --batch_limit_;", "                --batch_limit_;")
operations = ("loop/operation.hpp", "loop/submitting")
breaks(
    *operations,
    "requests wait first in, first out",
    "        op.next_ = nullptr;\n        *(size_++ != 0 ? &tail_->next_ : &head_) = &op;",
    "        op.next_ = size_++ != 0 ? head_ : nullptr;\n        head_ = &op;",
)
breaks("loop/operation.hpp", "loop/operation", "what is taken out of a list leaves the rest in order", "if (tail_ == &op) tail_ = before;", "")
breaks("loop/operation.hpp", "loop/submitting", "flags reach the kernel", "block_.aio_rw_flags = from.aio_rw_flags;", "block_.aio_rw_flags = 0;")
breaks("loop/operation.hpp", "loop/re_entrancy", "an operation may be submitted again in its handler", "        op.set_idle();\n        op.handler_(result);", "        op.handler_(result);\n        op.set_idle();")
breaks("loop/poll_list.hpp", "loop/destroying", "polls are found wherever they stand", "if (after) set_previous(*after, before);", "")
breaks("loop/slab.hpp", "loop/re_entrancy", "a handler is destroyed", "        stored.~Handler();\n", "")
breaks("loop/slab.hpp", "loop/submitting", "a slab grows", "            grow(size_);", "            (void)0;")
breaks("loop/slab.hpp", "loop/allocations", "handlers of 48 bytes allocate nothing", "sizeof(Handler) <= handler_room &&", "sizeof(Handler) < handler_room &&")

waiting, entering, destroying = (
    ("loop/loop.hpp", f"loop/{part}") for part in ("waiting", "re_entrancy", "destroying")
)
breaks(*entering, "a handler that throws gives the sources behind it their turn", "behind{turn_, source::posts};", "behind{turn_, source::ended};")
breaks(*entering, "run_one's turns go round", "now == source::events ? source::posts : source::ended;", "source::ended;")
breaks(*entering, "what handlers cancel waits for the next poll", "left != 0 && !ended_.empty(); --left", "!ended_.empty(); left = 0")
breaks(*waiting, "without the ring and without sleep events are taken", " || budget_.is_unlimited()) gather();", ") gather();")
breaks("loop/loop.hpp", "coro/sync_wait", "run inside a coroutine does not wait for it", "(!one && arrivals_->in_handler())", "false")
breaks("loop/arrivals.hpp", "loop/re_entrancy", "an event is delivered once, whatever its handler polls", "return *next_++;", "return *next_;")
breaks("loop/arrivals.hpp", "loop/destroying", "a loop that its handler destroys is noticed", "of->loop_is_gone_ = true;", "")
breaks(*entering, "events that are not handled yet are kept", "if (arrivals_->empty()) gathered(", "gathered(")
breaks(*destroying, "destroying a loop waits for what is in flight", "if (context_.in_flight() == 0) return;", "return;")
breaks(*destroying, "destroying a loop cancels polls", "cancelled = queue_.cancel_polls(context_);", "cancelled = true;")
breaks(*destroying, "destroying a loop completes what waits", "queue_.cancel_all(ended_);", "")
breaks(*destroying, "in a child no handler runs", "if (context_.usable() || capacity_ == 0) finish();", "finish();")
breaks(*waiting, "a signal does not end run", "if (error != EINTR) return failure(error);", "return failure(error);")
breaks(*waiting, "run_for ends", "if (past(deadline)) break;", "")
breaks(*waiting, "run_one calls one handler", "bool called = one && dispatch_one();\n            if (!one) {", "bool called = false;\n            {")
breaks(*waiting, "without the ring a batch costs one io_getevents", "if (context_.uses_ring() || deadline != duration::unlimited || budget_.is_unlimited()) gather();", "gather();")
breaks(*waiting, "the mask goes to the kernel", "mailbox_.bounded(limit), mask);", "mailbox_.bounded(limit));")
breaks("loop/loop.hpp", "loop/observer", "waits are counted", "observer_.on_wait();", "(void)0;")
breaks("loop/loop.hpp", "loop/loop", "a moved-from loop refuses", "capacity_ == 0 ? EINVAL : ENOMEM", "ENOMEM")
breaks(*waiting, "polling has a limit", "while (end == duration::unlimited || now() < end);", "while (true);")
breaks("loop/loop.hpp", "loop/mailbox", "stop ends one run", "        stopped_ = false;\n", "")
breaks("loop/loop.hpp", "loop/mailbox", "a cancelled request completes", "queue_.end(op, -ECANCELED, ended_);\n            return {};", "return {};")
breaks("loop/loop.hpp", "loop/timer_queue", "a timer never completes early", "? time + ns :", "? time + ns / 2 :")
breaks("loop/loop.hpp", "loop/timer_queue", "destroying a loop cancels timers", "while (!timers_.empty()) queue_.end(timers_.pop(), -ECANCELED, ended_);", "while (!timers_.empty()) queue_.end(timers_.pop(), 0, ended_);")

timers = ("loop/timer_queue.hpp", "loop/timer_queue")
breaks(*timers, "equal timers keep their order", "(a.block_.aio_key - b.block_.aio_key) < 0", "(b.block_.aio_key - a.block_.aio_key) < 0")
breaks(*timers, "the earliest comes first", "return deadline(a) < deadline(b);", "return deadline(a) > deadline(b);")
breaks(*timers, "what is under a removed timer is kept", "if (below) root_ = &merge(*root_, *below);", "")
breaks(*timers, "links stay whole when one is cut out", "if (op.next_) set_back(*op.next_, before);", "")
budget = ("loop/poll_budget.hpp", "loop/poll_budget")
breaks(*budget, "the budget stays within the limit", "(now_ < limit_ / 2 ? now_ * 2 : limit_);", "now_ * 2;")
breaks(*budget, "it shrinks while polling is wasted", "now_ = now_ / 2 < least ? 0 : now_ / 2;", "now_ = limit_;")
breaks(*budget, "it sleeps where sleeping is faster", "usual_ = polling_ = polling;", "usual_ = polling_ = true;")
posts = ("loop/post_queue.hpp", "loop/mailbox")
breaks(*posts, "posts run in order", "std::exchange(newest->next, oldest);\n            oldest = std::exchange(newest, next);", "newest->next;\n            oldest = oldest ? oldest : newest;\n            newest = next;")
breaks(*posts, "a loop that sleeps is woken", "return old == asleep();", "return false;")
breaks(*posts, "a loop does not fall asleep over a post", "return exchange(nullptr, asleep());", "__atomic_store_n(&head_, asleep(), __ATOMIC_RELEASE);\n        return true;")
breaks(*posts, "what was done before a post is seen (release)", "&post, true, __ATOMIC_ACQ_REL,", "&post, true, __ATOMIC_RELAXED,", threads=True)
breaks(*posts, "what was done before a post is seen (acquire)", "__atomic_exchange_n(&head_, nullptr, __ATOMIC_ACQUIRE)", "__atomic_exchange_n(&head_, nullptr, __ATOMIC_RELAXED)", threads=True)
mail = ("loop/mailbox.hpp", "loop/mailbox")
breaks(*mail, "what is posted is freed, whatever it throws", "~owner() { delete it; }", "~owner() {}")
breaks(*mail, "the event of a wake is no request's", "if (event.obj == reinterpret_cast<std::uintptr_t>(&wake_block_)) {", "if (event.obj == 0) {")
breaks(*mail, "no wake-up stays expected", "        } else if (queue_.awake()) {\n            of.unexpect();", "        } else if (queue_.awake()) {")
breaks("loop/mailbox.hpp", "loop/notifier", "posts reach the notifier", "wake_block_.aio_flags = iocb_flag_resfd;", "")
transfer = ("loop/transfer.hpp", "loop/transfer")
breaks(*transfer, "a transfer goes on where it stopped", "block.aio_offset += by;", "")
breaks(*transfer, "a write of no bytes is an error", "if (res == 0) return reads(block) ? false : fail_with(EIO);", "if (res == 0) return false;")
breaks(*transfer, "EINTR is met by going on", "if (res == -EINTR) return true;", "")
breaks(*transfer, "an error says how much was done", "return {done_, error_};", "return {error_ ? 0 : done_, error_};")
breaks(*transfer, "a vector goes on inside a buffer", "detail::address(buffer->iov_base) + from;", "detail::address(buffer->iov_base);")
breaks(*transfer, "EINVAL at a whole unit is an error", "done_ != 0 && !whole(block) && !appends(block)", "done_ != 0 && !appends(block)")
breaks(*transfer, "a short direct transfer is not the end", "if (at_the_end(block)) return false;", "return false;")
breaks(*transfer, "the file's size tells its end", "               status.st_size == block.aio_offset;", "               status.st_size >= block.aio_offset;")
breaks(*transfer, "what is appended is never repeated", "!whole(block) && !appends(block)", "!whole(block)")
breaks(*transfer, "no progress is an error", "if (++refusals_ > most_refusals) return fail_with(EIO);", "if (++refusals_ > most_refusals) return false;")
breaks(*transfer, "a vector goes on at a whole unit", "if (bytes % unit() == 0) whole = fit;", "whole = fit;")
breaks(*transfer, "more than 2 GiB go in whole large units", "first.aio_nbytes > most_vectors) || direct_unit > page)", "first.aio_nbytes > most_vectors))")
breaks(*transfer, "more than 1024 buffers go in several requests", "(vector_ && first.aio_nbytes > most_vectors) ||", "")
notifier = ("loop/notifier.hpp", "loop/notifier")
breaks(*notifier, "timers reach the notifier", "set_timer(next_deadline());", "")
breaks(*notifier, "what is there at once makes it readable", "|| again || loop_.has_completions()) signal();", "|| again) signal();")
breaks("loop/notifier.hpp", "loop/notifier", "a refusal with nothing in flight is followed by another try", "if (!dozing_ || again ||", "if (!dozing_ ||")
breaks(*notifier, "a loop has one notifier", "if (loop_.queue_.notified() >= 0) return EBUSY;", "")
breaks(*notifier, "a refused notifier leaves the first as it is", "if (event_ >= 0 && loop_.queue_.notified() == event_) {", "if (epoll_ >= 0) {")
breaks(*notifier, "a child takes nothing from its parent", "if (!loop_.context_.usable()) return failure(EINVAL);", "")
breaks(*notifier, "a wake that fails is noticed", "if (!loop_.mailbox_.wake_due()) return first;", "if (first >= 0) return first;")

# Coroutines.
breaks("loop/awaitable.hpp", "loop/awaitable", "a frame is not destroyed while its request is in flight", "        if (frame_) [[unlikely]]\n", "        if (false)\n")
breaks("coro/task.hpp", "coro/task", "an exception leaves the task", "void unhandled_exception() noexcept { exception_.keep(); }", "void unhandled_exception() noexcept {}")
breaks("coro/task.hpp", "coro/task", "what a task gave is destroyed", "if (returned_) value_.~T();", "")
breaks("coro/spawn.hpp", "coro/spawn", "run waits for spawned tasks", "    in.hold(); //", "    //")
breaks("coro/spawn.hpp", "loop/allocations", "without memory for a frame nothing holds the loop", "{ detail::run_detached(in,", "{ in.hold(), detail::run_detached(in,")
breaks("coro/for_each_concurrent.hpp", "coro/for_each_concurrent loop/allocations", "an exception waits for the workers that began", "        work.thrown.keep();", "")
breaks("coro/for_each_concurrent.hpp", "loop/allocations", "a worker that there is no memory for is not waited for", "if (!began) --of.waiter.left;", "")
breaks("coro/for_each_concurrent.hpp", "coro/for_each_concurrent", "no more than the limit at once", "i < limit && began", "i <= limit && began")
breaks("coro/for_each_concurrent.hpp", "coro/for_each_concurrent", "after an exception nothing new begins", "while (!work.thrown && work.next != work.end)", "while (work.next != work.end)")
breaks("coro/byte_range.hpp", "coro/byte_range", "bytes before the range are left out", "bounce->data() + skipped, count", "bounce->data(), count")
breaks("coro/byte_range.hpp", "coro/byte_range", "the last block is filled up with zeros and cut off", "do cut = ::ftruncate(to.fd(), static_cast<off_t>(data.size()));", "do cut = 0;")
