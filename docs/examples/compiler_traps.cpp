// The traps of docs/compilers.md and the ways out, each in a child process. It prints which traps this compiler has,
// and returns 1 if docs/compilers.md is wrong about it.
#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

#include <kaio/kaio.hpp>

namespace {

kaio::task<bool> yes() { co_return true; }

// An aggregate that owns something, made in the expression that is awaited.
struct record {
    std::unique_ptr<int> content;
    std::int64_t offset;
};

kaio::task<bool> save(record r) { co_return *r.content == 7 && r.offset == 0; }

kaio::task<bool> aggregate_trap() {
    co_return co_await save({std::make_unique<int>(7), 0}); // GCC 11 and 12 free the 7 twice
}

kaio::task<bool> aggregate_way_out() {
    record r{std::make_unique<int>(7), 0};
    co_return co_await save(std::move(r));
}

// A task that is awaited in a condition, in a coroutine that has declared no variable there.
kaio::task<bool> condition_trap() {
    if (!(co_await yes())) co_return false; // GCC 11 and 12: the coroutine never ends
    co_return true;
}

kaio::task<bool> condition_way_out() {
    bool const ready = co_await yes();
    if (!ready) co_return false;
    co_return true;
}

int turns = 0;

kaio::task<bool> loop_trap() {
    while (turns < 3) {
        ++turns;
        if (!(co_await yes())) co_return false; // the same
    }
    co_return true;
}

kaio::task<bool> loop_way_out() {
    while (turns < 3) {
        ++turns;
        bool const more = co_await yes();
        if (!more) co_return false;
    }
    co_return true;
}

// A task behind an operator that decides whether it is awaited.
int asked = 0;

kaio::task<bool> ask() {
    ++asked;
    co_return true;
}

kaio::task<bool> known_or_asked(bool known) {
    co_return known || co_await ask(); // GCC 11 and 12 await it in any case
}

kaio::task<bool> operator_trap() {
    bool const got = co_await known_or_asked(true);
    co_return got&& asked == 0;
}

kaio::task<bool> known_or_asked_way_out(bool known) {
    if (known) co_return true;
    co_return co_await ask();
}

kaio::task<bool> operator_way_out() {
    bool const got = co_await known_or_asked_way_out(true);
    co_return got&& asked == 0;
}

// A lambda that is a coroutine: its captures lie in the lambda, and are gone with it. Its parameters lie in the frame.
kaio::task<int> lambda_way_out() {
    int const seven = 7;
    kaio::task<int> task = [](int number) -> kaio::task<int> { co_return number; }(seven);
    co_return co_await std::move(task); // the lambda is gone by now
}

// True if the task ends with `true`, in a child process and within seconds.
bool works(kaio::task<bool> (*make)()) {
    std::fflush(stdout);
    pid_t const child = ::fork();
    if (child == 0) {
        ::close(STDERR_FILENO);
        ::alarm(2);
        kaio::loop loop(1);
        ::_exit(kaio::sync_wait(loop, make()) ? 0 : 1);
    }
    int status = 1;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

} // namespace

int main() {
#if defined(__clang__)
    constexpr bool may_trap = false, must_trap = false;
#else
    constexpr bool may_trap = true, must_trap = __GNUC__ <= 12;
#endif
    struct {
        const char* name;
        kaio::task<bool> (*trap)();
        kaio::task<bool> (*way_out)();
    } const all[] = {{"aggregate", aggregate_trap, aggregate_way_out},
                     {"condition", condition_trap, condition_way_out},
                     {"loop", loop_trap, loop_way_out},
                     {"operator", operator_trap, operator_way_out}};
    bool right = true;
    for (auto const& each : all) {
        bool const trapped = !works(each.trap), out = works(each.way_out);
        std::printf("%s: %s, and the way out %s\n", each.name, trapped ? "a trap" : "no trap", out ? "works" : "fails");
        right = right && out && (trapped ? may_trap : !must_trap);
    }
    kaio::loop loop(1);
    right = right && kaio::sync_wait(loop, lambda_way_out()) == 7;
    return right ? 0 : 1;
}
