// The real kernel with a script in front of it: chosen calls give a chosen answer without reaching the kernel, all are
// counted. A policy for basic_context and basic_loop; copies share one script, which must outlive them.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <kaio/sys/kernel.hpp>

namespace test {

struct script {
    // What a call gives instead of going to the kernel: call number (from 1) of that function → answer.
    std::map<unsigned, long> setup, submit, getevents, pgetevents, cancel, waker;

    // The most requests that one io_submit takes: the rest of a larger batch is left, as the kernel may do at any time.
    long most_at_once = 1'000'000;

    // There is no memory for the mark of the process.
    bool no_mark = false;

    // Called before each io_submit and io_getevents that reaches the kernel.
    std::function<void()> before_submit, before_getevents;

    // Ring fields that are overwritten right after io_setup: the offset in the ring → the value.
    std::map<unsigned, std::uint32_t> ring_fields;

    // Calls so far, answered by the script or by the kernel.
    unsigned setups = 0, destroys = 0, submits = 0, waits = 0, masked_waits = 0, cancels = 0, relaxes = 0, wakers = 0;
    int marks = 0; // of processes, made and not freed
};

class scripted_kernel {
public:
    explicit scripted_kernel(script& s) noexcept : script_(&s) {}

    int io_setup(unsigned events, kaio::aio_context_id* id) const noexcept {
        if (long answer; scripted(script_->setup, ++script_->setups, answer)) return static_cast<int>(answer);
        int const result = kaio::linux_kernel::io_setup(events, id);
        if (result == 0)
            for (auto [offset, value] : script_->ring_fields) *reinterpret_cast<std::uint32_t*>(*id + offset) = value;
        return result;
    }
    int io_destroy(kaio::aio_context_id id) const noexcept {
        ++script_->destroys;
        return kaio::linux_kernel::io_destroy(id);
    }
    long io_submit(kaio::aio_context_id id, long count, kaio::iocb** batch) const noexcept {
        if (long answer; scripted(script_->submit, ++script_->submits, answer)) return answer;
        if (script_->before_submit) script_->before_submit();
        return kaio::linux_kernel::io_submit(id, count < script_->most_at_once ? count : script_->most_at_once, batch);
    }
    long io_getevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                      const kaio::kernel_timespec* timeout) const noexcept {
        if (long answer; scripted(script_->getevents, ++script_->waits, answer)) return answer;
        if (script_->before_getevents) script_->before_getevents();
        return kaio::linux_kernel::io_getevents(id, min, max, events, timeout);
    }
    long io_pgetevents(kaio::aio_context_id id, long min, long max, kaio::io_event* events,
                       const kaio::kernel_timespec* timeout, const sigset_t* mask) const noexcept {
        if (long answer; scripted(script_->pgetevents, ++script_->masked_waits, answer)) return answer;
        return kaio::linux_kernel::io_pgetevents(id, min, max, events, timeout, mask);
    }
    int io_cancel(kaio::aio_context_id id, kaio::iocb* block, kaio::io_event* event) const noexcept {
        if (long answer; scripted(script_->cancel, ++script_->cancels, answer)) return static_cast<int>(answer);
        return kaio::linux_kernel::io_cancel(id, block, event);
    }

    std::int64_t now() const noexcept { return kaio::linux_kernel::now(); }
    void relax() const noexcept {
        ++script_->relaxes;
        kaio::linux_kernel::relax();
    }
    void look() const noexcept {}
    const unsigned* mark_process() const noexcept {
        if (script_->no_mark) return nullptr;
        ++script_->marks;
        return kaio::linux_kernel::mark_process();
    }
    void unmark_process(const unsigned* mark) const noexcept {
        --script_->marks;
        kaio::linux_kernel::unmark_process(mark);
    }
    void keep_from_children(void* memory, std::size_t size) const noexcept {
        kaio::linux_kernel::keep_from_children(memory, size);
    }
    int open_waker() const noexcept {
        if (long answer; scripted(script_->waker, ++script_->wakers, answer)) return static_cast<int>(answer);
        return kaio::linux_kernel::open_waker();
    }
    void close_waker(int fd) const noexcept { kaio::linux_kernel::close_waker(fd); }

private:
    static bool scripted(const std::map<unsigned, long>& answers, unsigned call, long& answer) noexcept {
        auto const found = answers.find(call);
        if (found == answers.end()) return false;
        answer = found->second;
        return true;
    }

    script* script_;
};
static_assert(kaio::kernel<scripted_kernel>);

} // namespace test
