// mistakes NAME: makes one mistake that only the kernel would see happen; the tools that watch memory must say so.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <thread>

#include <kaio/kaio.hpp>

namespace {

kaio::file const zero = kaio::file::open("/dev/zero", O_RDWR);

void ignore(kaio::io_result) {}

char* fresh() { return static_cast<char*>(std::malloc(64)); }

void freed() {
    char* const buffer = fresh();
    kaio::loop loop(4);
    loop.submit(kaio::read(zero, std::span(buffer, 64), 0), ignore); // line: freed
    std::free(buffer);
    loop.run();
}

void freed_in_flight() {
    char* const buffer = fresh();
    kaio::loop loop(4);
    loop.submit(kaio::read(zero, std::span(buffer, 64), 0), ignore); // line: freed_in_flight
    loop.flush();
    std::free(buffer);
    loop.run();
}

void out_of_scope() {
    kaio::loop loop(4);
    kaio::owned_operation operation(ignore);
    {
        char buffer[64];
        loop.submit(kaio::read(zero, buffer, 0), operation); // line: out_of_scope
        loop.flush();
    }
    loop.run();
}

// In one line, because g++ 12 takes a co_await for the last line of its coroutine.
kaio::task<> awaits(kaio::loop& loop, kaio::request read) { (void)co_await loop.submit(read); } // line: freed_awaited

void freed_awaited() {
    char* const buffer = fresh();
    kaio::loop loop(4);
    kaio::spawn(loop, awaits(loop, kaio::read(zero, std::span(buffer, 64), 0)));
    loop.flush();
    std::free(buffer);
    loop.run();
}

void returned() {
    kaio::buffer_pool pool(2, 64);
    kaio::pooled_buffer buffer = pool.acquire();
    std::byte* const bytes = buffer.data();
    buffer.reset();
    std::puts(bytes[10] == std::byte{} ? "zero" : "not zero");
}

void freed_piece() {
    static char kept[64];
    char* const buffer = fresh();
    iovec const pieces[] = {{kept, 64}, {buffer, 64}};
    kaio::loop loop(4);
    loop.submit(kaio::readv(zero, pieces, 0), ignore);
    std::free(buffer);
    loop.run();
}

void too_long() {
    char* const buffer = fresh();
    kaio::loop loop(4);
    loop.submit(kaio::read(zero, std::span(buffer, 65), 0), ignore);
    loop.run();
    std::free(buffer);
}

void unwritten() {
    char* const buffer = fresh();
    kaio::loop loop(4);
    loop.submit(kaio::write(zero, std::span(buffer, 64), 0), ignore);
    loop.run();
    std::free(buffer);
}

// The read is still in flight as far as the program can know, although the bytes may well be there.
void too_early() {
    char* const buffer = fresh();
    kaio::loop loop(4);
    loop.submit(kaio::read(zero, std::span(buffer, 64), 0), ignore);
    loop.flush();
    std::puts(buffer[10] == 0 ? "zero" : "not zero");
    loop.run();
    std::free(buffer);
}

// One thread writes to a buffer while the read into it is in flight, and another takes it for complete.
void reused() {
    static char buffer[64];
    kaio::context context(4);
    std::thread submitter([&] {
        static kaio::iocb block = kaio::read(zero, buffer, 0);
        kaio::iocb* batch[] = {&block};
        if (!context.submit(batch)) std::abort();
        buffer[10] = 'x';
    });
    kaio::io_event event;
    while (context.reap({&event, 1}) == 0) std::this_thread::yield();
    std::puts(buffer[10] == 0 ? "zero" : "not zero");
    submitter.join();
}

// Two threads call a loop in turn, without a join or a lock. A debug build takes that for a hand-over.
void unsynchronised() {
    kaio::loop loop(4);
    bool turn = false; // accessed as an atomic that orders nothing
    std::thread other([&] {
        (void)loop.poll();
        __atomic_store_n(&turn, true, __ATOMIC_RELAXED);
    });
    while (!__atomic_load_n(&turn, __ATOMIC_RELAXED)) std::this_thread::yield();
    (void)loop.poll();
    other.join();
}

} // namespace

int main(int, char** argv) {
    constexpr struct {
        const char* name;
        void (*make)();
    } mistakes[] = {{"freed", freed},
                    {"freed_awaited", freed_awaited},
                    {"freed_in_flight", freed_in_flight},
                    {"freed_piece", freed_piece},
                    {"out_of_scope", out_of_scope},
                    {"reused", reused},
                    {"returned", returned},
                    {"too_early", too_early},
                    {"too_long", too_long},
                    {"unsynchronised", unsynchronised},
                    {"unwritten", unwritten}};
    for (auto const& mistake : mistakes)
        if (std::strcmp(mistake.name, argv[1]) == 0) mistake.make();
}
