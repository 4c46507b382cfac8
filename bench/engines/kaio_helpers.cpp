#include "engines/kaio_form.hpp"

namespace {

template <unsigned Threads> void run_with_helpers(const bench::workload& work) {
    kaio::helpers helpers(Threads);
    bench::run_form<bench::callbacks>(work, {}, &helpers);
}

} // namespace

bench::engine bench::kaio_helpers() {
    return {.name = "kaio-helpers",
            .what = "kaio's loop with a helper thread for what would block",
            .has_threads = true,
            .run = run_with_helpers<1>};
}
bench::engine bench::kaio_helpers_4() {
    return {.name = "kaio-helpers-4",
            .what = "the same with four helpers",
            .has_threads = true,
            .run = run_with_helpers<4>};
}
