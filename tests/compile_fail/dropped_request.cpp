// expect: a request does nothing until it is submitted
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, const kaio::file& file) {
#ifdef WRONG
    kaio::fdatasync(file); // looks like the system call
#else
    loop.submit(kaio::fdatasync(file), [](kaio::io_result) {});
#endif
}
