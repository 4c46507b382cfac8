#include "engine.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

namespace bench {

void pass::fail(std::int64_t result) {
    if (result < 0)
        fmt::print(stderr, "kaio-bench: a request failed: {}\n", std::strerror(static_cast<int>(-result)));
    else
        fmt::print(stderr, "kaio-bench: a request ended after {} bytes\n", result);
    std::_Exit(1);
}

void call_failed(const std::string& call, int error) { throw std::system_error(error, std::system_category(), call); }

std::vector<engine> all_engines() {
    return {kaio_loop(),       kaio_coroutine(), kaio_owned(), kaio_helpers(), kaio_helpers_4(), kaio_blocking(),
            kaio_syscall(),    kaio_context(),   raw_ring(),   raw_spinning(), raw_syscall(),    libaio(),
            io_uring_normal(), io_uring_tuned(), posix_aio(),  pread_pool(),   pread_pool_4(),   pread_engine()};
}

} // namespace bench
