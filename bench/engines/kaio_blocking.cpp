#include "engines/kaio_form.hpp"

bench::engine bench::kaio_blocking() {
    return {.name = "kaio-blocking",
            .what = "the same, sleeping at once when the ring is empty",
            .run = [](const workload& work) { run_form<callbacks>(work, {.spin_limit = kaio::duration::zero()}); }};
}
