// run_under FILTER PROGRAM ARGUMENT...: runs the program under a seccomp filter. FILTER is
//   docker:      no io_uring (EPERM), as in the default profiles of Docker and containerd
//   docker-old:  no io_uring and no io_pgetevents (EPERM), as in profiles from before that call existed
//   no-aio:      no native AIO at all (ENOSYS)
// Exits with 77 if seccomp filters are not available.
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

std::vector<sock_filter> code = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};

void deny(long number, int error) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)));
}

void deny_pgetevents(int error) {
    deny(SYS_io_pgetevents, error);
#if defined(SYS_io_pgetevents_time64)
    deny(SYS_io_pgetevents_time64, error);
#endif
}

bool choose(const char* filter) {
    if (std::strcmp(filter, "docker") == 0 || std::strcmp(filter, "docker-old") == 0) {
        for (long const number : {425, 426, 427}) deny(number, EPERM); // io_uring_setup, _enter, _register
        if (std::strcmp(filter, "docker-old") == 0) deny_pgetevents(EPERM);
        return true;
    }
    if (std::strcmp(filter, "no-aio") != 0) return false;
    for (long const number : {SYS_io_setup, SYS_io_destroy, SYS_io_submit, SYS_io_cancel, SYS_io_getevents})
        deny(number, ENOSYS);
    deny_pgetevents(ENOSYS);
    return true;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 3 || !choose(argv[1])) {
        std::fprintf(stderr, "usage: run_under docker|docker-old|no-aio PROGRAM ARGUMENT...\n");
        return 2;
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog const program{static_cast<unsigned short>(code.size()), code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        std::perror("prctl");
        return 77;
    }
    ::execv(argv[2], argv + 2);
    std::perror(argv[2]);
    return 127;
}
