#include "engines/kaio_form.hpp"

bench::engine bench::kaio_syscall() {
    return {
        .name = "kaio-syscall",
        .what = "the same through io_getevents, without the ring",
        .run = [](const workload& work) { run_form<callbacks>(work, {.setup = {.events = kaio::reaping::syscall}}); }};
}
