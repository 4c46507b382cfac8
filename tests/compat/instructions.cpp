// instructions LIBRARY: prints how many instructions in user space a request takes through a libaio.so.1, as an
// io_submit of one and the io_getevents that takes it, from /dev/zero. They are counted one by one (ptrace), because
// Valgrind has no ring, and virtual machines often have no counters. Exit status 77: not here.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kaio/compat/libaio.hpp> // for the structures

namespace {

using namespace kaio::libaio;

constexpr int warm_up = 10, counted = 50;

template <class Function> Function* found(void* library, const char* name, Function*) {
    void* const symbol = ::dlsym(library, name);
    if (!symbol) std::exit(1);
    return reinterpret_cast<Function*>(symbol);
}

int requests(const char* path) {
    void* const library = ::dlopen(path, RTLD_NOW);
    if (!library) {
        std::fprintf(stderr, "%s\n", ::dlerror());
        return 1;
    }
    auto* const setup = found(library, "io_setup", &io_setup);
    auto* const submit = found(library, "io_submit", &io_submit);
    auto* const getevents = found(library, "io_getevents", &io_getevents);
    int const zeros = ::open("/dev/zero", O_RDONLY);
    io_context_t context = nullptr;
    if (setup(8, &context) != 0) return 77;
    char byte;
    iocb block;
    iocb* batch[] = {&block};
    io_event event;
    io_prep_pread(&block, zeros, &byte, 1, 0);
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    for (int i = 0; i < warm_up + counted; ++i) {
        if (i == warm_up) ::raise(SIGSTOP);
        if (submit(context, 1, batch) != 1 || getevents(context, 1, 1, &event, nullptr) != 1) return 1;
    }
    ::raise(SIGSTOP);
    return 0;
}

} // namespace

int main(int, char* argv[]) {
    pid_t const child = ::fork();
    if (child == 0) ::_exit(requests(argv[1]));
    int status = 0;
    long steps = -1;
    while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        if (WSTOPSIG(status) == SIGSTOP && ++steps > 0) break;
        if (WSTOPSIG(status) == SIGTRAP) ++steps;
        if (::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) break;
    }
    bool const all = WIFSTOPPED(status);
    if (all) ::ptrace(PTRACE_CONT, child, nullptr, nullptr);
    ::waitpid(child, &status, 0);
    if (!all) return WEXITSTATUS(status) == 0 ? 77 : WEXITSTATUS(status);
    std::printf("%ld\n", steps / counted);
    return 0;
}
