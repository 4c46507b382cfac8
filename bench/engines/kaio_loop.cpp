#include "engines/kaio_form.hpp"

bench::engine bench::kaio_loop() {
    return {.name = "kaio",
            .what = "kaio's loop with callbacks: the mapped ring, adaptive spinning",
            .run = [](const workload& work) { run_form<callbacks>(work, {}); }};
}
