// expect: loop.submit(std::move(request), handler)
#include <utility>

#include <kaio/kaio.hpp>

void example(kaio::loop& loop, const kaio::file& file) {
    auto request = kaio::write(file, kaio::aligned_buffer(4096), 0);
#ifdef WRONG
    loop.submit(request, [](kaio::io_result) {});
#else
    loop.submit(std::move(request), [](kaio::io_result) {});
#endif
}
