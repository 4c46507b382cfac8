// request_cost FORM REQUESTS: reads this many 4 KiB blocks of a file in memory, 32 at a time, at random offsets, in one
// of six forms that do the same work. run.py counts its instructions and system calls. The forms' `next` is inlined by
// force: Clang finds a function that is called twice too large, and a call more or less would hide what kaio costs.
#include "random_reads.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

// What a good engineer writes by hand: it fills in each whole iocb, reads events in place, and stores head once.
void hand(work& w) {
    struct ring {
        unsigned id, nr, head, tail, magic, compat, incompat, header_length;
        struct ::io_event events[1];
    };
    aio_context_t id = 0;
    if (::syscall(SYS_io_setup, depth, &id) != 0) std::abort();
    auto* const mapped = reinterpret_cast<ring*>(id);
    struct ::iocb iocbs[depth];
    struct ::iocb* batch[depth];
    long count = 0;
    auto const next = [&](std::size_t slot) {
        ++w.issued;
        struct ::iocb& block = iocbs[slot];
        std::memset(&block, 0, sizeof block);
        block.aio_data = slot;
        block.aio_lio_opcode = IOCB_CMD_PREAD;
        block.aio_fildes = static_cast<unsigned>(w.fd);
        block.aio_buf = reinterpret_cast<std::uintptr_t>(w.buffers[slot]);
        block.aio_nbytes = block_size;
        block.aio_offset = w.offset();
        batch[count++] = &block;
    };
    for (std::size_t slot = 0; slot < depth; ++slot) next(slot);
    unsigned const slots = mapped->nr;
    while (w.done < w.total) {
        if (count != 0) {
            if (::syscall(SYS_io_submit, id, count, batch) != count) std::abort();
            count = 0;
        }
        unsigned head = mapped->head;
        unsigned const tail = __atomic_load_n(&mapped->tail, __ATOMIC_ACQUIRE);
        while (head != tail) {
            auto const& event = mapped->events[head];
            w.check(event.res);
            if (w.issued < w.total) next(event.data);
            if (++head == slots) head = 0;
        }
        __atomic_store_n(&mapped->head, head, __ATOMIC_RELEASE);
    }
}

kaio::loop_options with_ring() { return {.setup = {.events = kaio::reaping::ring}}; } // under Valgrind too

void callback(work& w) {
    struct place {
        work& w;
        kaio::loop& loop;
        std::span<std::byte> buffer;

        [[gnu::always_inline]] void next() {
            ++w.issued;
            loop.submit(kaio::read(w.fd, buffer, w.offset()), [this](kaio::io_result r) {
                w.check(r.res());
                if (w.issued < w.total) next();
            });
        }
    };
    kaio::loop loop(depth, with_ring());
    std::vector<place> places;
    for (std::size_t slot = 0; slot < depth; ++slot) places.push_back({w, loop, w.buffer(slot)});
    for (place& p : places) p.next();
    loop.run();
}

// The buffer goes with each request and comes back.
void handed_over(work& w) {
    struct place {
        work& w;
        kaio::loop& loop;

        [[gnu::always_inline]] void next(kaio::aligned_buffer&& buffer) {
            ++w.issued;
            loop.submit(kaio::read(w.fd, std::move(buffer), w.offset()),
                        [this](kaio::io_result r, kaio::aligned_buffer&& b) {
                            w.check(r.res());
                            if (w.issued < w.total) next(std::move(b));
                        });
        }
    };
    kaio::loop loop(depth, with_ring());
    std::vector<place> places(depth, {w, loop});
    for (place& p : places) p.next(kaio::aligned_buffer(block_size));
    loop.run();
}

// As `callback`, by an object that goes before its loop.
void scope(work& w) {
    struct place {
        work& w;
        std::span<std::byte> buffer;
        kaio::request_scope requests;

        place(work& job, kaio::loop& loop, std::span<std::byte> bytes) : w(job), buffer(bytes), requests(loop) {}
        [[gnu::always_inline]] void next() {
            ++w.issued;
            requests.submit(kaio::read(w.fd, buffer, w.offset()), [this](kaio::io_result r) {
                w.check(r.res());
                if (w.issued < w.total) next();
            });
        }
    };
    kaio::loop loop(depth, with_ring());
    std::vector<std::unique_ptr<place>> places;
    for (std::size_t slot = 0; slot < depth; ++slot) places.push_back(std::make_unique<place>(w, loop, w.buffer(slot)));
    for (auto& p : places) p->next();
    loop.run();
}

void owned(work& w) {
    struct handler {
        work& w;
        kaio::loop& loop;
        std::span<std::byte> buffer;
        kaio::operation* self = nullptr;

        [[gnu::always_inline]] void next() {
            ++w.issued;
            loop.submit(kaio::read(w.fd, buffer, w.offset()), *self);
        }
        void operator()(kaio::io_result r) {
            w.check(r.res());
            if (w.issued < w.total) next();
        }
    };
    std::vector<std::unique_ptr<kaio::owned_operation<handler>>> operations;
    kaio::loop loop(depth, with_ring());
    for (std::size_t slot = 0; slot < depth; ++slot) {
        auto& op =
            operations.emplace_back(std::make_unique<kaio::owned_operation<handler>>(handler{w, loop, w.buffer(slot)}));
        op->handler().self = op.get();
        op->handler().next();
    }
    loop.run();
}

void coroutine(work& w) {
    auto const reader = [](work& job, kaio::loop& loop, std::span<std::byte> buffer) -> kaio::task<> {
        do {
            ++job.issued;
            kaio::io_result const r = co_await loop.submit(kaio::read(job.fd, buffer, job.offset()));
            job.check(r.res());
        } while (job.issued < job.total);
    };
    kaio::loop loop(depth, with_ring());
    for (std::size_t slot = 0; slot < depth; ++slot) kaio::spawn(loop, reader(w, loop, w.buffer(slot)));
    loop.run();
}

void raw(work& w) {
    kaio::context context(depth, {.events = kaio::reaping::ring});
    kaio::iocb iocbs[depth];
    kaio::iocb* batch[depth];
    kaio::io_event events[depth];
    std::size_t count = 0;
    auto const next = [&](std::size_t slot) {
        ++w.issued;
        iocbs[slot] = kaio::read(w.fd, w.buffer(slot), w.offset());
        iocbs[slot].aio_data = slot;
        batch[count++] = &iocbs[slot];
    };
    for (std::size_t slot = 0; slot < depth; ++slot) next(slot);
    while (w.done < w.total) {
        if (count != 0 && !context.submit({batch, count})) std::abort();
        count = 0;
        unsigned const taken = context.reap(events);
        for (kaio::io_event const& event : std::span(events).first(taken)) {
            w.check(event.res);
            if (w.issued < w.total) next(event.data);
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    constexpr form forms[] = {{"hand", hand},           {"raw", raw},           {"owned", owned},
                              {"coroutine", coroutine}, {"callback", callback}, {"handed_over", handed_over},
                              {"scope", scope}};
    return run_form(argc, argv, forms);
}
