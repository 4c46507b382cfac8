// asio_cost FORM REQUESTS: as request_cost, by files with Asio's interface. cost.py counts its instructions.
//   file:         kaio::random_access_file
//   plain_file:   the same with the type of the io_context's executor
//   post:         what Asio itself costs: functions that are posted by the executor of such a file, and no file
//   plain_post:   the same for plain_file
#include "random_reads.hpp"

#include <cstddef>
#include <deque>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <kaio/asio/random_access_file.hpp>

namespace {

using plain_executor = asio::io_context::executor_type;

template <class Executor> void posts(work& w) {
    asio::io_context context;
    struct place {
        work& w;
        Executor executor;

        void next() {
            ++w.issued;
            asio::post(executor, [this] {
                w.check(block_size);
                if (w.issued < w.total) next();
            });
        }
    };
    std::deque<place> places;
    for (std::size_t slot = 0; slot < depth; ++slot) places.push_back({w, context.get_executor()});
    for (place& p : places) p.next();
    context.run();
}

template <class File> void reads(work& w) {
    asio::io_context context;
    asio::make_service<kaio::file_service>(context, depth, kaio::reaping::ring); // under Valgrind, too
    File file(context, ::dup(w.fd));
    struct place {
        work& w;
        File& file;
        std::span<std::byte> buffer;

        void next() {
            ++w.issued;
            file.async_read_some_at(static_cast<std::uint64_t>(w.offset()), asio::buffer(buffer.data(), buffer.size()),
                                    [this](const asio::error_code&, std::size_t count) {
                                        w.check(static_cast<std::int64_t>(count));
                                        if (w.issued < w.total) next();
                                    });
        }
    };
    std::deque<place> places;
    for (std::size_t slot = 0; slot < depth; ++slot) places.push_back({w, file, w.buffer(slot)});
    for (place& p : places) p.next();
    context.run();
}

} // namespace

int main(int argc, char** argv) {
    constexpr form forms[] = {
        {"file", reads<kaio::random_access_file>},
        {"plain_file", reads<kaio::basic_random_access_file<plain_executor>>},
        {"post", posts<asio::any_io_executor>},
        {"plain_post", posts<plain_executor>},
    };
    return run_form(argc, argv, forms);
}
