// expect: this only describes work
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, const kaio::file& file) {
#ifdef WRONG
    kaio::write(file, kaio::aligned_buffer(4096), 0);
#else
    loop.submit(kaio::write(file, kaio::aligned_buffer(4096), 0), [](kaio::io_result, kaio::aligned_buffer) {});
#endif
}
