// expect: spawn drops what its task returns, and this may be an error
#include <kaio/coro/write_file.hpp>
#include <kaio/kaio.hpp>

void example(kaio::loop& loop, const kaio::file& file, kaio::aligned_buffer& buffer) {
#ifdef WRONG
    kaio::spawn(loop, kaio::write_file(loop, file, buffer));
#else
    (void)kaio::sync_wait(loop, kaio::write_file(loop, file, buffer));
#endif
}
