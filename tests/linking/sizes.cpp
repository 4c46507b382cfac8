// Prints the sizes of kaio's classes, which must not depend on how a part of a program is built.
#include <cstdio>

#include <kaio/kaio.hpp>

#define SIZE(type) std::printf("%s %zu\n", #type, sizeof(type))

int main() {
    SIZE(kaio::aligned_buffer);
    SIZE(kaio::buffer_pool);
    SIZE(kaio::pooled_buffer);
    SIZE(kaio::completion_ring);
    SIZE(kaio::context);
    SIZE(kaio::file);
    SIZE(kaio::loop);
    SIZE(kaio::notifier<kaio::loop>);
    SIZE(kaio::operation);
    SIZE(kaio::request_scope);
    SIZE(kaio::result<kaio::file>);
    SIZE(kaio::task<>::promise_type);
    SIZE(kaio::task<int>::promise_type);
    SIZE(kaio::transfer_result);
    using request_awaited = decltype(static_cast<kaio::loop*>(nullptr)->submit(kaio::fsync(0)));
    using transfer_awaited =
        decltype(static_cast<kaio::loop*>(nullptr)->submit(kaio::fully(kaio::request(kaio::iocb{}))));
    SIZE(request_awaited);
    SIZE(transfer_awaited);
}
