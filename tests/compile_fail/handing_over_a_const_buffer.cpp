// expect: a const buffer can't be handed over
#include <utility>

#include <kaio/kaio.hpp>

void example(kaio::loop& loop, const kaio::file& file, const kaio::aligned_buffer& buffer) {
#ifdef WRONG
    loop.submit(kaio::write(file, std::move(buffer), 0), [](kaio::io_result) {});
#else
    loop.submit(kaio::write(file, buffer, 0), [](kaio::io_result) {});
#endif
}
