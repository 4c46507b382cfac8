// expect: the handler of a request that owns its buffer must be callable with a kaio::io_result and the buffer
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, const kaio::file& file) {
#ifdef WRONG
    loop.submit(kaio::write(file, kaio::aligned_buffer(4096), 0), [](kaio::io_result, kaio::pooled_buffer) {});
#else
    loop.submit(kaio::write(file, kaio::aligned_buffer(4096), 0), [](kaio::io_result, kaio::aligned_buffer) {});
#endif
}
