"""The mutants: each breaks one promise of one header. `before` is in the header exactly once."""

from typing import NamedTuple


class Mutant(NamedTuple):
    header: str  # under include/kaio
    promise: str  # that the mutant breaks
    before: str
    after: str
    tests: tuple  # the programs that must notice
    threads: bool = False  # only ThreadSanitizer notices it


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
breaks(*ring, "head advances by the number of copied events", "unsigned const next = head + count;", "unsigned const next = head + there;")
breaks(*ring, "no more events than are in flight", "if (there > announced()) return distrust();", "")
breaks(*ring, "a ring with indices out of range is not trusted", "if (head >= nr_ || tail >= nr_) return distrust();", "")
breaks(*ring, "the magic number is checked", "ring->magic == aio_ring_magic && ", "")
breaks(*ring, "the features are checked", "ring->incompat_features == 0 && ", "")
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

# Members that reset when they are moved from, the process and the kernel.
moving = ("sys/reset_on_move.hpp", "sys/reset_on_move")
breaks(*moving, "moving leaves Empty behind", "value_(std::exchange(other.value_, Empty)) {}", "value_(other.value_) {}")
breaks(*moving, "assigning by moving leaves Empty behind", "T const moved = std::exchange(other.value_, Empty);", "T const moved = other.value_;")
breaks(*moving, "a replaced value is released", "if (!(old == Empty)) Release{}(old);", "(void)old;")
breaks("sys/narrow.hpp", "sys/narrow", "no bit is lost that fits", "return static_cast<To>(value);", "return static_cast<To>(static_cast<short>(value));")
process = ("sys/process.hpp", "sys/process")
breaks(*process, "a child does not have its parent's mark", "(void)::madvise(page, size, MADV_WIPEONFORK);", "")
kernel = ("sys/kernel.hpp", "sys/kernel")
breaks(*kernel, "an error is a negative errno", "return result < 0 ? -errno : result;", "return result;")
breaks(*kernel, "io_pgetevents returns ENOSYS instead of EPERM", "return result == -EPERM ? -ENOSYS : result;", "return result;")
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
breaks(*result, "a value replaces an error", "T(std::forward<Value>(value));\n        error_ = 0;", "T(std::forward<Value>(value));")
breaks(*result, "an event names its result", "inline io_result io_event::result() const noexcept { return io_result(res); }", "inline io_result io_event::result() const noexcept { return io_result(res2); }")
durations = ("io/duration.hpp", "io/duration")
breaks(*durations, "a duration is rounded up", "return whole + (static_cast<long double>(whole) < ns);", "return whole;")
breaks(*durations, "a negative duration is 0", "if (!(ns > 0)) return 0;", "")
breaks(*durations, "a long duration is forever", "if (ns >= 9.2e18L) return unlimited;", "")
breaks("io/view.hpp", "sys/abi", "nobody writes through a view of const", "To (*&target)[]) { target = source; };", "To (*&target)[]) { target; source; };")

breaks("io/view.hpp", "io/view", "last() returns the last elements", "data_ + (size_ - count), count", "data_, count")

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
breaks(*pool, "an empty pool returns no buffer", "if (available() == 0) return {};", "if (count() == 0) return {};")
breaks("io/detail/pool_header.hpp", "limits/huge_pages", "a pool that gets no huge pages uses ordinary ones", "if ((huge_pages = touch_huge_pages())) return true;", "if ((huge_pages = true)) return true;")
breaks(*header, "a child may destroy a pool whose buffers are out", "pool->process && *pool->process == mark_of_child;", "false;")
memory = ("io/detail/memory_limit.hpp", "io/memory_error")
breaks(*memory, "too many mappings are recognised as the cause", "if (there + 4 < most) return false;", "if (most != 0) return false;")
breaks(*memory, "locked memory is recognised as the cause", "if (errno != EAGAIN) return false;", "if (errno != ENOMEM) return false;")

# Files and requests.
file = ("io/file.hpp", "io/file")
breaks(*file, "a file is closed", "const noexcept { ::close(fd); }", "const noexcept { (void)fd; }")
breaks(*file, "a file does not outlive exec", "flags | O_CLOEXEC | O_LARGEFILE", "flags | O_LARGEFILE")
breaks(*file, "open is retried after a signal", "while (fd < 0 && errno == EINTR);", "while (false);")
breaks(*file, "an adopted file knows that it is direct", "if (flags < 0) return failure(errno);\n        return file(fd, (flags & O_DIRECT) != 0);", "if (flags < 0) return failure(errno);\n        return file(fd, false);")
breaks("io/file.hpp", "filesystems/direct", "O_DIRECT that is ignored is not direct", "return o_direct_ && support_ != direct_support::unsupported;", "return o_direct_;")
breaks(*file, "a pipe has no direct I/O", "                support_ = direct_support::unsupported; // O_DIRECT makes packets there\n", "")
breaks(*file, "close reports the file system's error", "if (fd >= 0 && ::close(fd) != 0) return", "if (fd >= 0 && ::close(fd) > 0) return")
breaks(*file, "a device has a size", "S_ISBLK(status.st_mode) && ", "false && ")
request = ("io/request.hpp", "io/request")
breaks(*request, "a length is in bytes", "std::size(buffer) * sizeof(element_of<Buffer>);", "std::size(buffer);")
offsets = ("io/file_offset.hpp", "io/file_offset")
breaks(*offsets, "a truth value is no offset", "requires(!std::same_as<Integer, bool>)", "requires(sizeof(Integer) != 0)")
breaks(*offsets, "a difference that went below 0 stops a debug build", "(std::is_signed_v<Integer> || value_ >= 0) &&", "")
breaks(*request, "fdatasync is not fsync", "opcode::fdsync, file,", "opcode::fsync, file,")
breaks(*request, "notify sets its flag", "changed.block_.aio_flags |= iocb_flag_resfd;", "")
breaks(*request, "one modifier keeps the others", "changed.block_.aio_flags |= iocb_flag_ioprio;", "changed.block_.aio_flags = iocb_flag_ioprio;")
breaks(*request, "an offset must be aligned too", "(size | static_cast<std::uint64_t>(offset)) & offset_mask_", "size & offset_mask_")

# Buffers that are handed over.
breaks("io/owning.hpp", "io/owning", "the raw layer names an owned buffer where it lies", "block.aio_buf = reinterpret_cast<std::uintptr_t>(std::data(buffer_));", "")
breaks("io/owning.hpp", "io/owning", "a span is borrowed, also as an rvalue", "!std::is_lvalue_reference_v<Buffer> && !std::ranges::enable_borrowed_range<std::remove_cv_t<Buffer>>;", "!std::is_lvalue_reference_v<Buffer>;")
breaks("loop/detail/loop_core.hpp", "io/owning", "an owned buffer is named where it lies", "operation->set_buffer(slab.template handler_of<stored>(*operation).buffer);", "")
breaks("loop/awaitable.hpp", "io/owning", "an awaited buffer is named where it lies", "if constexpr (owns) core_of(*this).set_buffer(buffer_);", "")
breaks("loop/detail/operation_slab.hpp", "loop/allocations", "without memory the caller keeps its handler", "            if (!boxed) return nullptr;", "            if (!boxed) return ((void)Handler(std::forward<Arguments>(arguments)...), nullptr);")

# The context.
context = ("io/context.hpp", "io/context")
breaks("io/context.hpp", "seccomp/untrusted_ring", "a refused request accounts for no event", "add(announced_, accepted - count);", "")
breaks(*context, "what is being submitted is not in flight", "return load(announced_) - reaped();", "return load(accepted_) - reaped();")
breaks(*context, "a refusal has its reason", "return {0, taken == 0 ? EAGAIN : static_cast<int>(-taken)};", "return {0, EAGAIN};")
breaks(*context, "requests behind an accepted part are submitted", "return submit_rest(batch, answer.accepted());", "return answer;")
breaks(*context, "an accepted part is counted", "        add(accepted_, accepted);\n", "")
breaks(*context, "all accepted parts of a batch are counted", "            accepted += answer.accepted();", "            accepted = answer.accepted();")
breaks(*context, "a wait is for no more than is in flight", "min > due) min = due;", "min > due) (void)due;")
breaks(*context, "events from the call follow those from the ring", "get_events(events.subspan(taken),", "get_events(events.first(events.size() - taken),")
breaks(*context, "events from the call are counted", "if (count > 0) count_taken(events.data(), static_cast<unsigned>(count));", "")
breaks(*context, "destroying a context calls io_destroy", "            policy.io_destroy(id);\n", "")
breaks(*context, "destroying a context returns its mark", "            policy.unmark_process(process);\n        }", "        }")
breaks(*context, "a child can't use its parent's context", "return __atomic_load_n(process.get(), __ATOMIC_RELAXED) == mark_of_process; }", "return process.get() != &mark_of_nobody; }")
breaks(*context, "at_least limits how small the capacity becomes", "capacity / 2 > options.at_least ? capacity / 2 : options.at_least;", "capacity / 2;")
breaks(*context, "a cancelled poll is a success", "answer == 0 || answer == -EINPROGRESS", "answer == 0")
breaks(*context, "a wait keeps its time limit", "limit.ns() % 1'000'000'000};", "0};")

breaks("io/detail/setup_cause.hpp", "io/setup_error", "0 is the cause whatever the error is", "    if (capacity == 0) error = 0;\n", "")

# The simulated kernel.
simulated = ("sim/kernel.hpp", "sim/kernel")
breaks(*simulated, "a look at the ring takes time", "void look() const noexcept { world_->look(); }", "void look() const noexcept {}")
breaks(*simulated, "relaxing between two looks takes time", "void relax() const noexcept { world_->relax(); }", "void relax() const noexcept {}")
breaks("sim/file.hpp", "sim/file", "what is mended works again", "node_->broken.clear();", "")
chance = ("sim/random_source.hpp", "sim/random_source")
breaks(*chance, "between reaches its most", "below(others + 1)", "below(others)")
breaks(*chance, "a fault that is switched off draws nothing", "return probability > 0 && static_cast", "return static_cast")

# The loop's parts.
queue = ("loop/detail/request_queue.hpp", "loop/submitting")
breaks(*queue, "the kernel never has more than the capacity", "        set_room(room_ - count);\n", "")
breaks(*queue, "a refusal is the request's result", "operation_core::of(rest[0]), -answer.error_number());", "operation_core::of(rest[0]), 0);")
breaks(*queue, "a request that waits gets the room of one that was refused", "        set_room(room_ - accepted);\n        fill_batch();", "        set_room(room_ - accepted);")
breaks(*queue, "the room of what was accepted after a refusal is taken", "        set_room(room_ - accepted);\n", "")
breaks(*queue, "those behind a refused request are kept", "__builtin_memmove(batch_.get(), rest.data(), rest.size() * sizeof(iocb*));", "")
breaks(*queue, "a full kernel is retried when something has completed", "        kernel_full_ = false;\n        refusals_ = 0;", "        refusals_ = 0;")
breaks(*queue, "a full kernel is not retried before", "batch_end_ != batch_.get() && !(kernel_full_ && context.in_flight() != 0);", "batch_end_ != batch_.get();")
breaks(*queue, "endless EAGAIN ends", "++refusals_ < most_refusals", "refusals_ < most_refusals")
breaks(*queue, "the room of a completed request goes to one that waits", "add_to_batch(waiting_.pop());", "(void)waiting_.pop();")
breaks("loop/detail/request_queue.hpp", "loop/operation", "a cancelled poll completes with ECANCELED", "if (event.res == 0) event.res = -ECANCELED;", "")
breaks("loop/detail/request_queue.hpp", "loop/notifier", "completions reach the notifier", "request->aio_flags |= iocb_flag_resfd;", "")
breaks("loop/detail/request_queue.hpp", "loop/operation", "what was cancelled in the loop is not submitted", "                --batch_end_.get();\n", "")
operations = ("loop/detail/operation_list.hpp", "loop/submitting")
breaks(
    *operations,
    "requests wait first in, first out",
    "        operation.next = nullptr;\n        *(size_++ != 0 ? &last_->next : &first_) = &operation;",
    "        operation.next = size_++ != 0 ? first_ : nullptr;\n        first_ = &operation;",
)
breaks("loop/detail/operation_list.hpp", "loop/operation_list", "what is removed from a list leaves the rest in order", "if (last_ == &operation) last_ = previous;", "")
core = ("loop/detail/operation_core.hpp", "loop/operation")
breaks("loop/detail/operation_core.hpp", "loop/submitting", "flags reach the kernel", "as.request.aio_rw_flags = request.aio_rw_flags;", "as.request.aio_rw_flags = 0;")
breaks(*core, "an outcome leaves the kernel's reserved field 0", "return std::exchange(as.outcome.result, 0);", "return as.outcome.result;")
breaks("loop/operation.hpp", "loop/operation", "an operation may be submitted again in its handler", "        self.set_idle();\n        self.handler_(result);", "        self.handler_(result);\n        self.set_idle();")
breaks("loop/operation.hpp", "loop/operation", "destroying an operation too early is noticed", "        if (busy()) [[unlikely]]\n            destroyed_while_busy();", "")
breaks("loop/detail/poll_list.hpp", "loop/destroying", "polls are found wherever they stand", "if (next) next->as.poll.previous = previous;", "")
slab = ("loop/detail/operation_slab.hpp", "loop/submitting")
breaks("loop/detail/operation_slab.hpp", "loop/re_entrancy", "a handler is destroyed", "        stored.~Handler();\n", "")
breaks(*slab, "a slab grows", "            grow(size_);", "            (void)0;")
breaks("loop/detail/operation_slab.hpp", "loop/allocations", "handlers of 48 bytes allocate nothing", "sizeof(Handler) <= handler_room &&", "sizeof(Handler) < handler_room &&")

completions = "loop/detail/completions.hpp"
breaks(completions, "loop/re_entrancy", "a handler that throws leaves the sources behind it their turn", "next{turn_, source::posts};", "next{turn_, source::outcomes};")
breaks(completions, "loop/re_entrancy", "run_one's turns go round", "turn == source::events ? source::posts : source::outcomes;", "source::outcomes;")
breaks(completions, "loop/re_entrancy", "what handlers cancel waits for the next poll", "left != 0 && !outcomes_.empty(); --left", "!outcomes_.empty(); left = 0")
breaks(completions, "loop/re_entrancy", "events that a posted function has left are not counted as handled", "return handled(); // a posted", "return accounted_; // a posted")
breaks("loop/detail/arrivals.hpp", "loop/re_entrancy", "an event is delivered once, whatever its handler polls", "return *next_++;", "return *next_;")
breaks("loop/detail/arrivals.hpp", "loop/destroying", "a loop that its handler destroys is noticed", "disposed->loop_is_gone_ = true;", "")

waiting, entering, destroying, running = (
    ("loop/detail/loop_core.hpp", f"loop/{part}") for part in ("waiting", "re_entrancy", "destroying", "loop")
)
breaks(*waiting, "without the ring and without sleep events are taken", " || waiter.always_spins()) gather();", ") gather();")
breaks("loop/detail/loop_core.hpp", "coro/sync_wait", "run inside a coroutine does not wait for it", "(wanted == one_handler || !completions.in_handler())", "true")
breaks(*entering, "events that are not handled yet are kept", "if (!completions.has_events()) add_events(", "add_events(")
breaks(*destroying, "destroying a loop waits for what is in flight", "if (context.in_flight() == 0) return;", "return;")
breaks(*destroying, "destroying a loop cancels polls", "polls_end = queue.cancel_polls(context);", "polls_end = true;")
breaks(*destroying, "destroying a loop completes what waits", "queue.cancel_all(completions);", "")
breaks(*destroying, "in a child no handler runs", "if (context.usable() || capacity == 0) complete_all();", "complete_all();")
breaks(*waiting, "a signal does not end run", "if (error != EINTR) return failure(error);", "return failure(error);")
breaks(*waiting, "run_for ends", "if (is_past(deadline)) break;", "")
breaks(*waiting, "run_one calls one handler", "wanted == one_handler ? completions.dispatch_one(mailbox, completer())\n                                            : completions", "completions")
breaks(*waiting, "without the ring a batch costs one io_getevents", "if (context.uses_ring() || deadline != duration::unlimited || waiter.always_spins()) gather();", "gather();")
breaks("loop/detail/waiter.hpp", "loop/waiting", "the mask goes to the kernel", "mailbox.bounded(limit), mask);", "mailbox.bounded(limit));")
breaks("loop/detail/waiter.hpp", "loop/observer", "waits are counted", "if constexpr (requires { observer.on_wait(); }) observer.on_wait();", "")
breaks("loop/loop.hpp", "loop/loop", "a moved-from loop refuses", "capacity() == 0 ? EINVAL : ENOMEM", "ENOMEM")
breaks("loop/detail/waiter.hpp", "loop/waiting", "spinning has a limit", "while (end == duration::unlimited || context.get_kernel().now() < end);", "while (true);")
breaks(*waiting, "stop ends one run", "        stopped = false;\n", "")
breaks("loop/detail/loop_core.hpp", "loop/operation", "a cancelled request completes", "        completions.add_outcome(operation, -ECANCELED);\n        return {};", "        return {};")
breaks("loop/detail/loop_core.hpp", "loop/timer", "a timer never completes early", "? time + ns :", "? time + ns / 2 :")
breaks("loop/detail/loop_core.hpp", "loop/timer", "destroying a loop cancels timers", "completions.add_outcome(timers.pop(), -ECANCELED);", "completions.add_outcome(timers.pop(), 0);")
breaks("loop/detail/loop_core.hpp", "loop/notifier", "a refusal with nothing in flight is retried", "return {!listening || retry ||", "return {!listening ||")
breaks("loop/detail/loop_core.hpp", "loop/notifier", "what is there at once makes the notifier readable", "|| retry || has_completions(), deadline};", "|| retry, deadline};")
breaks("loop/detail/loop_core.hpp", "loop/notifier", "a loop has one notifier", "if (queue.eventfd() >= 0) return false;", "")
breaks("loop/detail/loop_core.hpp", "loop/notifier", "a refused notifier leaves the first as it is", "if (queue.eventfd() != eventfd) return;", "")
breaks("loop/detail/loop_core.hpp", "loop/notifier", "a wake that fails is noticed", "if (soon < deadline) deadline = soon;", "")

timers = ("loop/detail/timer_queue.hpp", "loop/timer_queue")
breaks(*timers, "equal timers keep their order", "return a.order < b.order;", "return b.order < a.order;")
breaks(*timers, "the earliest comes first", "return a.deadline < b.deadline;", "return a.deadline > b.deadline;")
breaks(*timers, "what is under a removed timer is kept", "if (below) root_ = &merge(*root_, *below);", "")
breaks(*timers, "links stay whole when one is cut out", "if (operation.next) operation.next->as.timer.back = back;", "")
breaks(*timers, "a timer that was removed is no timer any more", "        node.in_queue = 0;\n", "")
breaks("loop/detail/spin_time.hpp", "loop/spin_budget", "the time stays within the limit", "ns_ = ns_ < limit_ / 2 ? ns_ * 2 : limit_;", "ns_ = ns_ * 2;")
breaks("loop/detail/spin_time.hpp", "loop/spin_budget", "it shrinks while spinning is wasted", "ns_ = ns_ / 2 < least ? 0 : ns_ / 2;", "ns_ = limit_;")
breaks("loop/detail/spin_trial.hpp", "loop/spin_budget", "it sleeps where sleeping is faster", "usual_ = current_ = better;", "usual_ = current_ = spin;")
posts = ("loop/detail/post_queue.hpp", "loop/mailbox")
breaks(*posts, "posts run in order", "std::exchange(newest->next, oldest);\n            oldest = std::exchange(newest, next);", "newest->next;\n            oldest = oldest ? oldest : newest;\n            newest = next;")
breaks(*posts, "a loop that sleeps is woken", "return head == asleep();", "return false;")
breaks(*posts, "a loop does not fall asleep over a post", "return exchange(nullptr, asleep());", "__atomic_store_n(&head_, asleep(), __ATOMIC_RELEASE);\n        return true;")
breaks(*posts, "what was done before a post is seen (release)", "&post, true, __ATOMIC_ACQ_REL,", "&post, true, __ATOMIC_RELAXED,", threads=True)
breaks(*posts, "what was done before a post is seen (acquire)", "__atomic_exchange_n(&head_, nullptr, __ATOMIC_ACQUIRE)", "__atomic_exchange_n(&head_, nullptr, __ATOMIC_RELAXED)", threads=True)
mail = ("loop/detail/mailbox.hpp", "loop/mailbox")
breaks(*mail, "what is posted is freed, whatever it throws", "~owner() { delete it; }", "~owner() {}")
breaks(*mail, "the event of a wake is no request's", "if (event.request() == &wake_block_) {", "if (event.obj == 0) {")
breaks("loop/detail/mailbox.hpp", "loop/waiting", "no wake-up stays expected", "        state_ = wake_state::awake;\n        context.unexpect();", "        state_ = wake_state::awake;")
breaks("loop/detail/mailbox.hpp", "loop/notifier", "posts reach the notifier", "wake_block_.aio_flags = iocb_flag_resfd;", "")
transfer = ("loop/detail/transfer_progress.hpp", "loop/transfer")
breaks(*transfer, "a transfer goes on where it stopped", "block.aio_offset += by;", "")
breaks(*transfer, "a write of no bytes is an error", "if (res == 0) return reads(block) ? false : fail_with(EIO);", "if (res == 0) return false;")
breaks(*transfer, "EINTR is retried", "if (res == -EINTR) return true;", "")
breaks("loop/detail/whole_transfer_handler.hpp", "loop/transfer", "an error says how much was done", "transfer_result(progress.bytes(), progress.error())", "transfer_result(progress.error() ? 0 : progress.bytes(), progress.error())")
breaks(*transfer, "a vector goes on inside a buffer", "detail::address(buffer->iov_base) + skipped;", "detail::address(buffer->iov_base);")
breaks(*transfer, "EINVAL at a whole unit is an error", "done_ != 0 && !whole(block) && !appends(block)", "done_ != 0 && !appends(block)")
breaks(*transfer, "a short direct transfer is not the end", "if (at_the_end(block)) return false;", "return false;")
breaks(*transfer, "the file's size tells its end", "               status.st_size == block.aio_offset;", "               status.st_size >= block.aio_offset;")
breaks(*transfer, "what is appended is never repeated", "!whole(block) && !appends(block)", "!whole(block)")
breaks(*transfer, "no progress is an error", "if (++refusals_ > most_refusals) return fail_with(EIO);", "if (++refusals_ > most_refusals) return false;")
breaks(*transfer, "a vector goes on at a whole unit", "if (bytes % unit() == 0) whole = fit;", "whole = fit;")
breaks(*transfer, "more than 2 GiB go in whole large units", "block.aio_nbytes > most_vectors) || direct_unit > page)", "block.aio_nbytes > most_vectors))")
breaks(*transfer, "more than 1024 buffers go in several requests", "(vector_ && block.aio_nbytes > most_vectors) ||", "")
notifier = ("loop/notifier.hpp", "loop/notifier")
breaks(*notifier, "timers reach the notifier", "set_timer(next.deadline);", "")
breaks(*notifier, "a child takes nothing from its parent", "if (!loop_.usable()) return failure(EINVAL);", "")

# Coroutines.
breaks("loop/awaitable.hpp", "loop/awaitable", "a frame is not destroyed while its request is in flight", "        if (frame_) [[unlikely]]\n", "        if (false)\n")
breaks("coro/detail/task_promise.hpp", "coro/task", "an exception leaves the task", "void unhandled_exception() noexcept { exception_.keep(); }", "void unhandled_exception() noexcept {}")
breaks("coro/detail/task_promise.hpp", "coro/task", "what a task returned is destroyed", "if (returned_) value_.~T();", "")
breaks("coro/detail/task_waiter.hpp", "coro/when_all", "the last of several tasks resumes the coroutine that waits", "--running_ == 0 ? coroutine_", "--running_ == 1 ? coroutine_")
breaks("coro/sync_wait.hpp", "coro/sync_wait", "the frame of a task that may still be resumed is not freed", "        frame.abandon();\n", "")
breaks("coro/sync_wait.hpp", "coro/sync_wait", "what a handler throws waits until the task has finished", "thrown.guard([&] {", "[](auto run) { run(); }([&] {")
breaks("coro/detail/detached.hpp", "coro/spawn", "run waits for spawned tasks", "    loop.hold(); //", "    //")
breaks("coro/spawn.hpp", "loop/allocations", "without memory for a frame nothing holds the loop", "{ detail::run_detached(io_loop,", "{ io_loop.hold(), detail::run_detached(io_loop,")
workers = "coro/detail/workers.hpp"
breaks(workers, "coro/for_each_concurrent loop/allocations", "an exception waits for the workers that began", "        work.thrown.keep();", "")
breaks(workers, "loop/allocations", "without memory for a worker those that began are waited for", "work.thrown.guard([&] {", "[](auto start) { start(); }([&] {")
breaks(workers, "coro/for_each_concurrent", "no more than the limit at once", "workers < limit", "workers <= limit")
breaks(workers, "coro/for_each_concurrent", "after an exception nothing new begins", "return !thrown && next != end;", "return next != end;")
breaks("coro/detail/read_piece.hpp", "coro/read_range", "bytes before the range are left out", "buffer->data() + skipped, count", "buffer->data(), count")
breaks("coro/write_file.hpp", "coro/write_file", "the last block is filled up with zeros and cut off", "do failed = ::ftruncate(file.fd(), static_cast<off_t>(content.size()));", "do failed = 0;")

# What coroutines wait for.
queue = "coro/detail/wait_queue.hpp"
breaks(queue, "coro/event coro/semaphore", "first in, first out", "node.link_before(*this);\n    }\n\n    // Removes", "static_cast<wait_links&>(node).link_before(next());\n    }\n\n    // Removes")
breaks(queue, "coro/event coro/semaphore", "a frame that is destroyed while it waits leaves the queue", "~wait_node() { unlink(); }", "~wait_node() = default;")
resumptions = "coro/detail/resumptions.hpp"
breaks(resumptions, "coro/event coro/semaphore", "the stack stays flat", "if (running_) return; // from", "// from")
breaks(resumptions, "coro/event coro/channel", "those that are ready outlive the object", "running_->ready.append(ready_);", "")
breaks(resumptions, "coro/semaphore coro/channel", "an object that is gone gives nothing more", "running_->object_is_gone = true;", "running_->object_is_gone = false;")
breaks(resumptions, "coro/event", "an exception does not keep others from being resumed", "thrown.guard([node]", "[](auto resume) { resume(); }([node]")
breaks(resumptions, "coro/event", "what is thrown leaves the call", "thrown.rethrow();", "")
event = ("coro/event.hpp", "coro/event")
breaks(*event, "an event that is set stays so", "set_ = true;", "")
breaks(*event, "reset", "set_ = false; }", "}")
breaks(*event, "nobody waits for an event that is set", "return event_.set_; }", "return false; }")
breaks(*event, "all that wait are resumed, whatever the first does", "resumptions_.ready().append(waiters_);\n        resumptions_.run();", "resumptions_.run([this]() noexcept { return set_ ? waiters_.pop() : nullptr; });")
breaks(*event, "an event that is destroyed too early ends the program", "if (!waiters_.empty()) [[unlikely]]", "while (waiters_.pop())\n            if (false)")
semaphore = ("coro/semaphore.hpp", "coro/semaphore")
breaks(*semaphore, "nobody gets a permit before those that wait", "return waiters_.empty() ? permits_ : 0;", "return permits_;")
breaks(*semaphore, "try_acquire takes a permit", "--permits_;\n        return true;", "return true;")
breaks(*semaphore, "who is resumed has a permit", "--permits_;\n            return waiters_.pop();", "return waiters_.pop();")
breaks(*semaphore, "no permits, nobody is resumed", "if (permits_ == 0 || waiters_.empty()) return nullptr;", "if (waiters_.empty()) return nullptr;")
breaks(*semaphore, "a semaphore that is destroyed too early ends the program", "if (!waiters_.empty()) [[unlikely]]", "while (waiters_.pop())\n            if (false)")
mutex = ("coro/mutex.hpp", "coro/mutex")
breaks(*mutex, "lock does not go before those that wait", "if (mutex_.locked_ || !mutex_.waiters_.empty()) return false;", "if (mutex_.locked_) return false;")
breaks(*mutex, "try_lock does not go before those that wait", "if (locked_ || !waiters_.empty()) return mutex_guard();", "if (locked_) return mutex_guard();")
breaks(*mutex, "one at a time", "if (locked_ || waiters_.empty()) return nullptr;", "if (waiters_.empty()) return nullptr;")
breaks(*mutex, "a guard that is assigned to unlocks what it had", "std::exchange(moved.mutex_, mutex_);", "std::exchange(moved.mutex_, nullptr);")
breaks(*mutex, "a mutex that is destroyed while it is locked ends the program", "if (locked_ || !waiters_.empty()) [[unlikely]]", "if (!waiters_.empty()) [[unlikely]]")
channel = ("coro/channel.hpp", "coro/channel")
breaks(*channel, "nobody sends before those that wait", "return senders_.empty() && values_.size() < values_.capacity();", "return values_.size() < values_.capacity();")
breaks(*channel, "nobody receives before those that wait", "return receivers_.empty() && values_.size() != 0;", "return values_.size() != 0;")
breaks(*channel, "who waits to send gets its turn", "            resume_waiters();\n        }\n        return value;", "        }\n        return value;")
breaks(*channel, "who waits to receive gets its turn", "        resume_waiters();\n        return true;", "        return true;")
breaks(*channel, "close resumes senders", "resumptions_.ready().append(senders_);", "")
breaks(*channel, "close takes no values from receivers", "if (values_.size() == 0) resumptions_", "resumptions_")
breaks(*channel, "close resumes the receivers behind the values", "if (!receivers_.empty() && (closed_ || values_.size() != 0)) {", "if (!receivers_.empty() && values_.size() != 0) {")
breaks(*channel, "a closed channel takes nothing", "if (closed_ || !can_send()) return false;", "if (!can_send()) return false;")
breaks(*channel, "who sends a value that was taken knows it", "sender->sent_ = true;", "")
values = ("coro/detail/value_ring.hpp", "coro/channel")
breaks(*values, "the ring wraps around", "if (++first_ == capacity_) first_ = 0;", "if (first_++ == capacity_) first_ = 0;")
breaks(*values, "values are destroyed with the ring", "while (size_ != 0) drop_first();", "")
group = "coro/detail/group_member.hpp"
breaks(group, "coro/task_group", "the last member resumes who waits", "if (--members != 0) return", "if (--members == 0) return")
breaks(group, "coro/task_group", "the next task begins", "turns.release(); //", "//")
breaks(group, "coro/task_group", "an exception is kept", "state.thrown.keep();", "")
breaks(group, "coro/task_group", "no more than the limit at once", "co_await state.turns.acquire();", "(void)state.turns.try_acquire();")
task_group = ("coro/task_group.hpp", "coro/task_group")
breaks(*task_group, "an exception is thrown once", "std::exchange(state_.thrown, detail::first_exception()).rethrow();", "state_.thrown.rethrow();")
breaks(*task_group, "a group that is destroyed waits", "if (state_.members != 0) [[unlikely]]", "if (false)")
breaks(*task_group, "what a handler throws meanwhile leaves run", "        if (thrown)\n", "        if (false)\n")
breaks(*task_group, "a child waits for nothing", "while (state_.members != 0 && runs)", "while (state_.members != 0)")
breaks(*task_group, "one coroutine waits", "if (!state_.waiter.empty()) [[unlikely]]", "if (false)")
breaks("coro/yield.hpp", "coro/yield", "a yield lets others have their turn", "return io_loop.submit(after(duration::zero()));", "return io_loop.submit(after(duration::from_ns(200'000)));")
pool = ("coro/waiting_pool.hpp", "coro/waiting_pool")
breaks(*pool, "a handle returns its buffer before the next gets it", "            memory_.reset();\n            std::exchange(pool_, nullptr)->free_.release();", "            std::exchange(pool_, nullptr)->free_.release();\n            memory_.reset();")
breaks(*pool, "a handle that is destroyed returns its buffer", "~buffer() { reset(); }", "~buffer() = default;")
breaks(*pool, "a handle that is assigned to returns its buffer", "            buffer const before(std::move(*this)); // is returned at the end\n", "")
early = ("coro/detail/early_end.hpp", "coro/with_timeout coro/with_stop_token")
breaks(*early, "a poll that is given up is cancelled", "(void)loop_.cancel(awaited_); //", "//")
breaks(*early, "who gives up leaves the queue", "                awaited_.leave();", "                (void)0;")
breaks(*early, "what was given up has no result", "            left_ = true;\n", "")
breaks(*early, "a poll that was given up has no result", "if (to_end_ && without_result(*result)) result.reset();", "")
breaks(*early, "a poll that the loop's end cancels returns that", "if (to_end_ && without_result(*result))", "if (without_result(*result))")
breaks(*early, "the loop's end is no timeout", "to_end_ |= counts;", "to_end_ = true;")
breaks(*early, "what arrives ends the watching", "        arrived_ = true;\n        self().unwatch();", "        arrived_ = true;")
breaks(*early, "nothing is left behind", "return arrived_ && self().watches_nothing();", "return arrived_;")
breaks("coro/with_timeout.hpp", "coro/with_timeout", "a wait whose timer is pending is not over", "return !timing_; }", "return true; }")
stop = ("coro/with_stop_token.hpp", "coro/with_stop_token")
breaks(*stop, "after a stop nothing is waited for", "if (!token_.stop_requested()) return false;", "return false;")
breaks(*stop, "a stop ends the wait", "wait_->reason_came(true);", "wait_->reason_came(false);")
breaks(*stop, "a stop that is posted is waited for", "return stopped_ || !__atomic_load_n(&posted_, __ATOMIC_ACQUIRE);", "return true;")
breaks(*stop, "the wait is over only after the stop_callback has returned", "wait->set_posted(true); //", "//", threads=True)
completion = ("coro/completion.hpp", "coro/completion")
breaks(*completion, "a completion that was completed does not wait", "return completion_.completed_;", "return false;")
breaks(*completion, "the coroutine is resumed", "if (detail::wait_node* const node = waiter_.pop()) node->coroutine().resume();", "(void)waiter_.pop();")
breaks(*completion, "the value is destroyed", "if (completed_) value_.~stored();", "")
breaks(*completion, "completing twice ends the program", "if (completed_) [[unlikely]]", "if (false)")
breaks(*completion, "awaiting twice ends the program", "if (completion_.taken_ || !completion_.waiter_.empty()) [[unlikely]]", "if (false)")
